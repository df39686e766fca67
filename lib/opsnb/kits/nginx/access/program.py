"""The awk program that counts an access log where it lies; it runs in mawk, gawk and busybox awk alike.

Rules:

* The program is this constant. Format, name and limits arrive in its environment, as data.
* Lines go through ``tr '\\000' '\\001'`` first and all text is bytes (``LC_ALL=C``), so the three awks see the same.
* Sums are integers (bytes, milliseconds) below 2^53: exact, and the same in every awk.
* Memory is bounded by the caps: tables of paths, hosts and upstreams are Misra-Gries summaries ("Finding repeated
  elements", 1982) in batches. A full table lowers every counter by their median and gives up those at 0. So a key
  that is absent was seen at most ``floor`` times, one that is there was missed at most ``D`` times, and ``floor`` is
  at most 2 * lines / cap. What is given up is added to the key without a name, so sums stay exact.
* Latencies are counted in buckets that grow by ``GROWTH`` from 1 ms; times under 1 ms are bucket 0.
* The series over time has at most ``OPSNB_STEPS`` steps: a wider step takes the place of a full table.

It writes lines of fields with tabs between, see :mod:`opsnb.kits.nginx.access.answer`.
"""

GROWTH = 1.06  # of a latency bucket: its middle is at most 3 % off

COUNT = r"""
BEGIN {
  CONVFMT = OFMT = "%.17g"
  n = split(ENVIRON["OPSNB_FORMAT"], P, "\n")
  FIRST = P[1]; FIRSTLEN = length(FIRST); FIELDS = n - 1
  for (i = 1; i <= FIELDS; i++) {
    a = index(P[i+1], "\t"); role = substr(P[i+1], 1, a - 1); rest = substr(P[i+1], a + 1)
    a = index(rest, "\t"); KIND[i] = substr(rest, 1, a - 1); LIT[i] = substr(rest, a + 1); LEN[i] = length(LIT[i])
    WANTED[i] = role != ""
    if (role != "") AT[role] = i
  }
  TIME = AT["local"] + AT["iso"] + AT["msec"]; FORM = AT["local"] ? 1 : AT["iso"] ? 2 : 3
  REQUEST = AT["request"] + 0; METHOD = AT["method"] + 0; URI = AT["uri"] + 0; STATUS = AT["status"] + 0
  BYTES = AT["bytes"] + 0; TOOK = AT["took"] + 0; HOST = AT["host"] + 0; CACHE = AT["cache"] + 0
  UTIME = AT["utime"] + 0; UADDR = AT["uaddr"] + 0; USTATUS = AT["ustatus"] + 0
  LIMIT = ENVIRON["OPSNB_LIMIT"] + 0; DEADLINE = ENVIRON["OPSNB_DEADLINE"] + 0
  SINCE = ENVIRON["OPSNB_SINCE"]; UNTIL = ENVIRON["OPSNB_UNTIL"]; WALL = ENVIRON["OPSNB_WALL"] + 0
  ZONE = ENVIRON["OPSNB_ZONE"]; NORMAL = ENVIRON["OPSNB_NORMAL"] + 0; STEPS = ENVIRON["OPSNB_STEPS"] + 0
  WINDOW = (SINCE != "" || UNTIL != ""); SINCE += 0; UNTIL = UNTIL == "" ? 1e15 : UNTIL + 0
  CAP["p"] = ENVIRON["OPSNB_PATHS"] + 0; CAP["h"] = CAP["u"] = ENVIRON["OPSNB_NAMES"] + 0
  EDGE[0] = 1
  for (i = 1; i <= 420; i++) EDGE[i] = EDGE[i-1] * ENVIRON["OPSNB_GROWTH"]
  for (i = 0; i < 4096; i++) BUCKET[i] = searched(i)
  split("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", months, " ")
  for (i = 1; i <= 12; i++) MONTH[months[i]] = i
  BUCKET[-1] = 0; WIDTH = 1; NOW = "none"; SLOWEST = 20; slowmin = -1; LEAST = 1e15; MOST = -1; newest = -1
}

{
  bytes += length($0) + 1
  if (LIMIT && bytes > LIMIT) { bytes--; cut++; next }
  if (!(NR % 50000)) tick()
  line()
}

END {
  seconds(); settle(); report()
}

function tick(  now) {
  print "at\t" bytes; fflush()
  "date +%s" | getline now; close("date +%s")
  if (now + 0 >= DEADLINE) { stopped = 1; exit }
}

function line(  rest, i, p, v, method, path, ms, b, size, st, u) {
  rest = $0
  if (FIRSTLEN) {
    if (substr(rest, 1, FIRSTLEN) != FIRST) return odd()
    rest = substr(rest, FIRSTLEN + 1)
  }
  for (i = 1; i <= FIELDS; i++) {
    if (LEN[i]) {
      p = index(rest, LIT[i])
      if (p && KIND[i] != "") p = further(KIND[i], rest, LIT[i], LEN[i], p)
      if (!p) return odd()
      if (WANTED[i]) V[i] = substr(rest, 1, p - 1)
      rest = substr(rest, p + LEN[i])
    } else if (i == FIELDS) { V[i] = rest; rest = "" }
    else {
      p = index(rest, "/")
      if (!p) return odd()
      V[i] = substr(rest, 1, p - 1); rest = substr(rest, p)
    }
  }
  if (rest != "") return odd()
  # Every value is looked at before anything is counted.
  if (TIME && V[TIME] != stamp && !moment(V[TIME])) return odd()
  if (STATUS) {
    st = V[STATUS]
    if (!(st in CLASS)) {
      if (st !~ /^[0-9][0-9][0-9]$/) return odd()
      CLASS[st] = st == "499" ? 9 : st >= "500" ? 5 : st >= "400" ? 4 : 0
    }
  }
  else st = "-"
  size = 0
  if (BYTES) { v = V[BYTES]; if (v ~ /^[0-9]+$/) size = v + 0; else if (v != "-" && v != "") return odd() }
  ms = -1
  if (TOOK) {
    v = V[TOOK]
    if (v ~ /^[0-9]+\.?[0-9]*$/) ms = int(v * 1000 + 0.5); else if (v != "-" && v != "") return odd()
  }
  if (UTIME && V[UTIME] !~ /^[-0-9., :]*$/) return odd()
  if (WINDOW) {
    v = WALL ? epoch + offset : epoch
    if (v < SINCE || v >= UNTIL) { outside++; return 0 }
  }
  matched++
  if (TIME) {
    if (newstamp) { seconds(); newstamp = 0; second = epoch; place() }
    insecond++
  }
  class = STATUS ? CLASS[st] : 0
  b = ms < 4096 ? BUCKET[ms] : searched(ms)
  # The series: the current step is kept apart, and added to the table when another begins.
  sn++; sb += size
  if (class == 5) s5++; else if (class == 4) s4++; else if (class == 9) s9++
  if (ms >= 0) { st_ms += ms; if (ms > sx) sx = ms; SH[b]++ }
  if (REQUEST) {
    v = V[REQUEST]
    p = index(v, " ")
    method = substr(v, 1, p - 1); path = substr(v, p + 1)
    i = length(path)
    if (substr(path, i - 8, 6) == " HTTP/") path = substr(path, 1, i - 9)
    if (!(method in METHODS) && (method = verb(method)) == "") path = method = v == "" || v == "-" ? "(none)" : "(not HTTP)"
  } else {
    v = method = METHOD ? V[METHOD] : "-"; path = URI ? V[URI] : "-"
    if (METHOD && !(method in METHODS) && (method = verb(method)) == "") method = v == "" || v == "-" ? "(none)" : "(not HTTP)"
  }
  if (p = index(path, "?")) path = substr(path, 1, p - 1)
  if (length(path) > 512) path = substr(path, 1, 512) "..."
  if (path == "") path = "(none)"
  if (NORMAL && path ~ /[0-9]/) path = normal(path)
  if (REQUEST || URI) count("p" path, size, ms, b)
  if (HOST) { v = V[HOST]; count(v == "" ? "h-" : "h" substr(v, 1, 255), size, ms, b) }
  CN[st, method]++
  if (size) CB[st, method] += size
  if (ms > 0) CT[st, method] += ms
  if (CACHE) cached(V[CACHE])
  if (UADDR || UTIME) {
    v = UADDR ? V[UADDR] : "(any)"; u = UTIME ? V[UTIME] : "-"
    if (v != "-" && v != "" && (UADDR || (u != "-" && u != ""))) upstream(v, u, USTATUS ? V[USTATUS] : st, size)
  }
  if (ms > slowmin) slow(ms, st, method, UADDR ? V[UADDR] : "-", path)
  return 1
}

function odd() {
  unmatched++
  if (samples < 5) SAMPLE[++samples] = substr($0, 1, 300)
  return 0
}

# The bucket of a time: the number of edges that it has reached. busybox has no logarithm.
function searched(ms,  low, high, mid) {
  low = -1; high = 420
  while (high - low > 1) { mid = int((low + high) / 2); if (EDGE[mid] <= ms) low = mid; else high = mid }
  return high
}

# A literal inside a value: after a comma or a colon of a list, behind a backslash of JSON, in a request line.
function further(kind, rest, lit, len, p,  q, c) {
  if (kind == "request") {
    if (match(rest, / HTTP\/[0-9]\.[0-9]/) && substr(rest, RSTART + RLENGTH, len) == lit) return RSTART + RLENGTH
    return p
  }
  while (p) {
    if (kind == "list") {
      if (!(p > 1 && substr(rest, p - 1, 1) == "," || p > 2 && substr(rest, p - 2, 2) == " :" || substr(rest, p, 3) == " : ")) return p
    } else {
      c = 0
      for (q = p - 1; q > 0 && substr(rest, q, 1) == "\\"; q--) c++
      if (c % 2 == 0) return p
    }
    q = index(substr(rest, p + 1), lit)
    p = q ? p + q : 0
  }
  return 0
}

function days(y, m, d,  era, yoe, doy) {
  y = m <= 2 ? y - 1 : y
  era = int(y / 400); yoe = y - era * 400
  doy = int((153 * (m + (m > 2 ? -3 : 9)) + 2) / 5) + d - 1
  return era * 146097 + yoe * 365 + int(yoe / 4) - int(yoe / 100) + doy - 719468
}

function shift(zone) {
  if (zone == "Z") return 0
  if (zone !~ /^[-+][0-9][0-9]:?[0-9][0-9]$/) return -1e9
  return (substr(zone, 1, 1) == "-" ? -1 : 1) * (substr(zone, 2, 2) * 3600 + substr(zone, length(zone) - 1) * 60)
}

function moment(text,  day, zone, clock, e) {
  if (FORM == 3) {
    if (text !~ /^[0-9]+\.?[0-9]*$/) return 0
    e = int(text); offset = shift(ZONE)
  } else if (FORM == 1) {
    if (text !~ /^[0-9][0-9]\/[A-Z][a-z][a-z]\/[0-9][0-9][0-9][0-9]:[0-9][0-9]:[0-9][0-9]:[0-9][0-9] [-+][0-9][0-9][0-9][0-9]$/) return 0
    day = substr(text, 1, 11); clock = substr(text, 13, 8); zone = substr(text, 22)
    if (!(substr(day, 4, 3) in MONTH)) return 0
    if (day != today) { today = day; midnight = days(substr(day, 8, 4), MONTH[substr(day, 4, 3)], substr(day, 1, 2)) * 86400 }
  } else {
    if (text !~ /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]([-+][0-9][0-9]:?[0-9][0-9]|Z)$/) return 0
    day = substr(text, 1, 10); clock = substr(text, 12, 8); zone = substr(text, 20)
    if (day != today) { today = day; midnight = days(substr(day, 1, 4), substr(day, 6, 2) + 0, substr(day, 9, 2)) * 86400 }
  }
  if (FORM < 3) {
    if (zone != lastzone) { lastzone = zone; offset = shift(zone) }
    e = midnight + substr(clock, 1, 2) * 3600 + substr(clock, 4, 2) * 60 + substr(clock, 7, 2) - offset
  }
  if (e != epoch || second == "") { epoch = e; newstamp = 1 }
  stamp = text
  return 1
}

# The busiest second: lines may come up to 8 seconds late.
function seconds(  s) {
  if (second == "" || !insecond) return
  IN[second] += insecond; insecond = 0
  if (second > newest) {
    for (s in IN) if (s + 0 < second - 8) { if (IN[s] > busiest) { busiest = IN[s]; busiestat = s }; delete IN[s] }
    newest = second
  }
}

function place(  step) {
  if (epoch < LEAST) LEAST = epoch
  if (epoch > MOST) MOST = epoch
  step = int(epoch / WIDTH)
  if (step != NOW) { settle(); NOW = step }
}

function settle(  b) {
  if (!sn) return
  if (!(NOW in TN)) steps++
  TN[NOW] += sn; TB[NOW] += sb; T4[NOW] += s4; T5[NOW] += s5; T9[NOW] += s9; TT[NOW] += st_ms
  if (sx + 0 > TX[NOW] + 0) TX[NOW] = sx
  for (b in SH) { if (!TH[NOW, b]) TU[NOW] = TU[NOW] b " "; TH[NOW, b] += SH[b]; delete SH[b] }
  sn = sb = s4 = s5 = s9 = st_ms = sx = 0
  while (steps > STEPS) widen()
}

function widen(  factor, k, to, n, i, L, b, KEYS, held) {
  factor = WIDTH == 1 ? 5 : WIDTH == 5 ? 3 : WIDTH == 15 ? 4 : WIDTH == 60 ? 5 : WIDTH == 300 ? 3 : WIDTH == 900 ? 4 : WIDTH == 3600 ? 6 : WIDTH == 21600 ? 4 : 2
  WIDTH *= factor
  for (k in TN) KEYS[++held] = k
  for (i = 1; i <= held; i++) {
    k = KEYS[i]; to = int(k / factor)
    WN[to] += TN[k]; WB[to] += TB[k]; W4[to] += T4[k]; W5[to] += T5[k]; W9[to] += T9[k]; WT[to] += TT[k]
    if (TX[k] + 0 > WX[to] + 0) WX[to] = TX[k]
    n = split(TU[k], L, " ")
    for (b = 1; b <= n; b++) {
      if (!WH[to, L[b]]) WU[to] = WU[to] L[b] " "
      WH[to, L[b]] += TH[k, L[b]]; delete TH[k, L[b]]
    }
    delete TN[k]; delete TB[k]; delete T4[k]; delete T5[k]; delete T9[k]; delete TT[k]; delete TX[k]; delete TU[k]
  }
  steps = 0
  for (k in WN) {
    steps++
    TN[k] = WN[k]; TB[k] = WB[k]; T4[k] = W4[k]; T5[k] = W5[k]; T9[k] = W9[k]; TT[k] = WT[k]; TX[k] = WX[k]; TU[k] = WU[k]
    n = split(TU[k], L, " ")
    for (b = 1; b <= n; b++) { TH[k, L[b]] = WH[k, L[b]]; delete WH[k, L[b]] }
    delete WN[k]; delete WB[k]; delete W4[k]; delete W5[k]; delete W9[k]; delete WT[k]; delete WX[k]; delete WU[k]
  }
  if (NOW != "none") NOW = int(NOW / factor)
}

# A request's method: "" when it is none, so that garbage does not make names; at most 40 are told apart.
function verb(method) {
  if (method !~ /^[A-Z_-]+$/ || length(method) > 32 || method == "-") return ""
  if (methods >= 40) return "(others)"
  methods++; METHODS[method] = 1
  return method
}

function count(k, size, ms, b) {
  if (!(k in N)) admit(k)
  N[k]++
  if (size) B[k] += size
  if (class) E[k, class]++
  if (ms >= 0) {
    if (ms) T[k] += ms
    if (ms > X[k]) X[k] = ms
    if (!H[k, b]++) U[k] = U[k] b " "
  }
}

function admit(k,  d) {
  d = substr(k, 1, 1)
  if (HELD[d] >= CAP[d]) evict(d)
  HELD[d]++; N[k] = 0; X[k] = -1; D[k] = FLOOR[d] + 0
}

function evict(d,  k, n, i, least, low, high, mid, m, KEYS, LEFT) {
  n = 0
  for (k in N) if (substr(k, 1, 1) == d && k != d) { KEYS[++n] = k; LEFT[n] = N[k] + D[k] - FLOOR[d] }
  # The median: the least level that at least half of the counters do not exceed.
  low = 0; high = 1
  while (under(LEFT, n, high) * 2 < n) { low = high; high *= 2 }
  while (high - low > 1) { mid = int((low + high) / 2); if (under(LEFT, n, mid) * 2 < n) low = mid; else high = mid }
  FLOOR[d] += high; EVICTED[d]++
  for (i = 1; i <= n; i++) if (LEFT[i] <= high) { fold(KEYS[i], d); HELD[d]-- }
}

function under(LEFT, n, level,  i, c) {
  c = 0
  for (i = 1; i <= n; i++) if (LEFT[i] <= level) c++
  return c
}

function fold(k, to,  n, i, L) {
  N[to] += N[k]; B[to] += B[k]; T[to] += T[k]
  if (!(to in X)) X[to] = -1
  if (X[k] > X[to]) X[to] = X[k]
  for (i = 4; i <= 9; i++) if ((k, i) in E) { E[to, i] += E[k, i]; delete E[k, i] }
  n = split(U[k], L, " ")
  for (i = 1; i <= n; i++) {
    if (!H[to, L[i]]) U[to] = U[to] L[i] " "
    H[to, L[i]] += H[k, L[i]]; delete H[k, L[i]]
  }
  delete N[k]; delete B[k]; delete T[k]; delete X[k]; delete D[k]; delete U[k]
}

function upstream(addresses, times, states, size,  n, i, A, S, Z, t, ms, was) {
  was = class
  n = index(addresses, ", ") || index(addresses, " : ") ? split(addresses, A, /, | : /) : 1
  if (n == 1) { A[1] = addresses; S[1] = times; Z[1] = states }
  else { split(times, S, /, | : /); split(states, Z, /, | : /); if (!USTATUS) { for (i = 1; i < n; i++) Z[i] = ""; Z[n] = states } }
  for (i = 1; i <= n; i++) {
    t = S[i]; ms = t ~ /^[0-9]+\.?[0-9]*$/ ? int(t * 1000 + 0.5) : -1
    class = Z[i] == "499" ? 9 : Z[i] ~ /^5[0-9][0-9]$/ ? 5 : Z[i] ~ /^4[0-9][0-9]$/ ? 4 : 0
    count("u" substr(A[i], 1, 255), i == n ? size : 0, ms, ms < 4096 ? BUCKET[ms] : searched(ms))
  }
  class = was
}

function cached(v) {
  if (v == "") v = "-"
  if (!(v in KN) && (caches >= 20 || length(v) > 32)) v = "(others)"
  if (!(v in KN)) caches++
  KN[v]++
}

# Numbers, UUIDs and long hexadecimal words between slashes become ":id"; what was asked for lately is remembered.
function normal(path,  n, i, L, s, out) {
  if (path in NORMALISED) return NORMALISED[path]
  n = split(path, L, "/"); out = L[1]
  for (i = 2; i <= n; i++) {
    s = L[i]
    if (s ~ /^[0-9]+$/ || length(s) >= 8 && s ~ /^[0-9a-fA-F-]+$/ && s ~ /[0-9]/) s = ":id"
    out = out "/" s
  }
  if (++remembered > 5000) { split("", NORMALISED); remembered = 1 }
  return NORMALISED[path] = out
}

function slow(ms, st, method, up, path,  i, at) {
  if (slows < SLOWEST) at = ++slows
  else for (i = 1; i <= slows; i++) if (SLOW[i] == slowmin) { at = i; break }
  SLOW[at] = ms
  SLOWTEXT[at] = (TIME ? epoch : "") "\t" st "\t" plain(method) "\t" plain(substr(up, 1, 255)) "\t" plain(path)
  if (slows < SLOWEST) return
  slowmin = SLOW[1]
  for (i = 2; i <= slows; i++) if (SLOW[i] < slowmin) slowmin = SLOW[i]
}

function plain(text) {
  gsub(/\t/, "\\x09", text); gsub(/\r/, "\\x0D", text)
  return text
}

function histogram(U, H, k,  n, i, L, out) {
  n = split(U[k], L, " "); out = ""
  for (i = 1; i <= n; i++) out = out L[i] ":" H[k, L[i]] " "
  return out
}

function report(  k, s, i) {
  for (s in IN) if (IN[s] > busiest) { busiest = IN[s]; busiestat = s }
  print "file\t" plain(ENVIRON["OPSNB_LOG"]) "\t" NR - cut "\t" matched + 0 "\t" unmatched + 0 "\t" outside + 0 "\t" cut + 0 "\t" bytes + 0 "\t" stopped + 0 "\t" (MOST < 0 ? "" : LEAST) "\t" (MOST < 0 ? "" : MOST) "\t" offset + 0 "\t" busiest + 0 "\t" busiestat
  for (i = 1; i <= samples; i++) print "sample\t" plain(SAMPLE[i])
  print "width\t" WIDTH
  for (k in TN) print "time\t" k "\t" TN[k] "\t" TB[k] + 0 "\t" T4[k] + 0 "\t" T5[k] + 0 "\t" T9[k] + 0 "\t" TT[k] + 0 "\t" TX[k] + 0 "\t" histogram(TU, TH, k)
  for (k in N) print "key\t" substr(k, 1, 1) "\t" plain(substr(k, 2)) "\t" N[k] "\t" B[k] + 0 "\t" E[k, 4] + 0 "\t" E[k, 5] + 0 "\t" E[k, 9] + 0 "\t" T[k] + 0 "\t" X[k] "\t" D[k] + 0 "\t" histogram(U, H, k)
  for (k in FLOOR) print "floor\t" k "\t" FLOOR[k] + 0
  for (k in CN) { split(k, P, SUBSEP); print "status\t" P[1] "\t" plain(P[2]) "\t" CN[k] "\t" CB[k] + 0 "\t" CT[k] + 0 }
  for (k in KN) print "cache\t" plain(k) "\t" KN[k]
  for (i = 1; i <= slows; i++) print "slow\t" SLOW[i] "\t" SLOWTEXT[i]
  print "done"
}
"""
