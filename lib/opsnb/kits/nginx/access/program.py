r"""The awk program that counts an access log where it lies; it runs in mawk, gawk and busybox awk alike.

Rules:

* The program is this constant. Format, name and limits arrive in its environment, as data.
* Lines go through ``tr '\000' '\001'`` first and all text is bytes (``LC_ALL=C``), so the three awks see the same.
* Sums are integers (bytes, milliseconds) below 2^53: exact, and the same in every awk.
* Memory is bounded by the caps: tables of paths, hosts and upstreams are Misra-Gries summaries ("Finding repeated
  elements", 1982) in batches. A full table lowers every counter by their median and gives up those at 0. So a key
  that is absent was seen at most ``floor`` times, one that is there was missed at most ``D`` times, and ``floor`` is
  at most 2 * lines / cap. What is given up is added to the key without a name, so sums stay exact.
* Latencies are counted in buckets that grow by ``GROWTH`` from 1 ms; times under 1 ms are bucket 0.
* The series over time has at most ``OPSNB_STEPS`` steps: a wider step takes the place of a full table.

It writes lines of fields with tabs between, see :mod:`opsnb.kits.nginx.access.answer`.
"""

from opsnb.kits.nginx.access.tallies import TALLIES

GROWTH = 1.06  # of a latency bucket: its middle is at most 3 % off

READING = r"""
BEGIN {
  CONVFMT = OFMT = "%.17g"
  n = split(ENVIRON["OPSNB_FORMAT"], P, "\n")
  FIRST = P[1]; FIRSTLEN = length(FIRST); FIELDS = n - 1
  for (i = 1; i <= FIELDS; i++) {
    a = index(P[i+1], "\t"); role = substr(P[i+1], 1, a - 1); rest = substr(P[i+1], a + 1)
    a = index(rest, "\t"); KIND[i] = substr(rest, 1, a - 1); LIT[i] = substr(rest, a + 1); LEN[i] = length(LIT[i])
    WAY[i] = !LEN[i] ? 3 : KIND[i] != "" ? 2 : role != ""  # 0 is passed over, 1 is kept, 2 may hold its end, 3 has none
    if (role != "") AT[role] = i
  }
  TIME = AT["local"] + AT["iso"] + AT["msec"]; FORM = AT["local"] ? 1 : AT["iso"] ? 2 : 3
  REQUEST = AT["request"] + 0; METHOD = AT["method"] + 0; URI = AT["uri"] + 0; STATUS = AT["status"] + 0
  BYTES = AT["bytes"] + 0; TOOK = AT["took"] + 0; HOST = AT["host"] + 0; CACHE = AT["cache"] + 0
  UTIME = AT["utime"] + 0; UADDR = AT["uaddr"] + 0; USTATUS = AT["ustatus"] + 0
  LIMIT = ENVIRON["OPSNB_LIMIT"] + 0; DEADLINE = ENVIRON["OPSNB_DEADLINE"] + 0
  SINCE = ENVIRON["OPSNB_SINCE"]; UNTIL = ENVIRON["OPSNB_UNTIL"]; WALL = ENVIRON["OPSNB_WALL"] + 0
  ZONE = ENVIRON["OPSNB_ZONE"]; NORMAL = ENVIRON["OPSNB_NORMAL"] + 0; STEPS = ENVIRON["OPSNB_STEPS"] + 0
  PROBE = ENVIRON["OPSNB_PROBE"] + 0; PART = ENVIRON["OPSNB_PART"] + PROBE  # the first line may be part of one
  if (PROBE) SINCE = UNTIL = ""
  WINDOW = (SINCE != "" || UNTIL != ""); SINCE += 0; UNTIL = UNTIL == "" ? 1e15 : UNTIL + 0
  CAP["p"] = ENVIRON["OPSNB_PATHS"] + 0; CAP["h"] = CAP["u"] = ENVIRON["OPSNB_NAMES"] + 0
  EDGE[0] = 1
  for (i = 1; i <= 420; i++) EDGE[i] = EDGE[i-1] * ENVIRON["OPSNB_GROWTH"]
  for (i = 0; i < 4096; i++) BUCKET[i] = searched(i)
  split("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", months, " ")
  for (i = 1; i <= 12; i++) MONTH[months[i]] = i
  NEXT[1] = 5; NEXT[5] = 3; NEXT[15] = 4; NEXT[60] = 5; NEXT[300] = 3; NEXT[900] = 4; NEXT[3600] = 6; NEXT[21600] = 4
  BUCKET[-1] = 0; WIDTH = 1; NOW = "none"; SLOWEST = 20; slowmin = -1; LEAST = 1e15; MOST = -1; newest = -1
}

{
  bytes += length($0) + 1
  if (LIMIT && bytes > LIMIT) { bytes--; cut++; next }
  if (PART && NR == 1) next
  if (line() && PROBE) exit
  if (!(NR % 50000)) tick()
}

END {
  if (PROBE) { if (matched) print WALL ? epoch + offset : epoch; exit }
  seconds(); settle(); report()
}

function tick(  now) {
  print "at\t" bytes; fflush()
  "date +%s" | getline now; close("date +%s")
  if (now + 0 >= DEADLINE) { stopped = 1; exit }
}

function line(  way, rest, i, p, v, method, path, ms, b, size, st, u) {
  rest = $0
  if (FIRSTLEN) {
    if (substr(rest, 1, FIRSTLEN) != FIRST) return odd()
    rest = substr(rest, FIRSTLEN + 1)
  }
  for (i = 1; i <= FIELDS; i++) {
    if (!(way = WAY[i])) {
      if (!(p = index(rest, LIT[i]))) return odd()
      rest = substr(rest, p + LEN[i])
    } else if (way == 1) {
      if (!(p = index(rest, LIT[i]))) return odd()
      V[i] = substr(rest, 1, p - 1)
      rest = substr(rest, p + LEN[i])
    } else if (way == 2) {
      if (!(p = index(rest, LIT[i])) || !(p = further(KIND[i], rest, LIT[i], LEN[i], p))) return odd()
      V[i] = substr(rest, 1, p - 1)
      rest = substr(rest, p + LEN[i])
    } else if (i == FIELDS) { V[i] = rest; rest = "" }
    else {
      if (!(p = index(rest, "/"))) return odd()
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
    if (!(method in METHODS) && (method = verb(method)) == "") path = method = garbage(v)
  } else {
    v = method = METHOD ? V[METHOD] : "-"; path = URI ? V[URI] : "-"
    if (METHOD && !(method in METHODS) && (method = verb(method)) == "") method = garbage(v)
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

function garbage(v) { return v == "" || v == "-" ? "(none)" : "(not HTTP)" }

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
      c = p > 1 && substr(rest, p - 1, 1) == "," || p > 2 && substr(rest, p - 2, 2) == " :"
      if (!c && substr(rest, p, 3) != " : ") return p
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
    day = substr(text, 1, 11); clock = substr(text, 13, 8); zone = substr(text, 22)
    if (day !~ /^[0-9][0-9]\/[A-Z][a-z][a-z]\/[0-9][0-9][0-9][0-9]$/ || substr(text, 12, 1) != ":") return 0
    if (substr(text, 21, 1) != " " || !(substr(day, 4, 3) in MONTH)) return 0
    if (day != today) {
      today = day; midnight = days(substr(day, 8, 4) + 0, MONTH[substr(day, 4, 3)], substr(day, 1, 2) + 0) * 86400
    }
  } else {
    day = substr(text, 1, 10); clock = substr(text, 12, 8); zone = substr(text, 20)
    if (day !~ /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]$/ || substr(text, 11, 1) != "T") return 0
    if (day != today) {
      today = day; midnight = days(substr(day, 1, 4) + 0, substr(day, 6, 2) + 0, substr(day, 9, 2) + 0) * 86400
    }
  }
  if (FORM < 3) {
    if (clock !~ /^[0-9][0-9]:[0-9][0-9]:[0-9][0-9]$/) return 0
    if (zone != lastzone) {
      if (shift(zone) < -86400) return 0
      lastzone = zone; offset = shift(zone)
    }
    e = midnight + substr(clock, 1, 2) * 3600 + substr(clock, 4, 2) * 60 + substr(clock, 7, 2) - offset
  }
  if (e != epoch || second == "") { epoch = e; newstamp = 1 }
  stamp = text
  return 1
}
"""

COUNT = READING + TALLIES
