"""The tables of the awk program of :mod:`opsnb.kits.nginx.access.program`: over time, by name, slowest, the report."""

TALLIES = r"""
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
  if (step != NOW) { settle(); NOW = int(epoch / WIDTH) }  # it may be wider now
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
  factor = WIDTH in NEXT ? NEXT[WIDTH] : 2
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
    TN[k] = WN[k]; TB[k] = WB[k]; T4[k] = W4[k]; T5[k] = W5[k]; T9[k] = W9[k]
    TT[k] = WT[k]; TX[k] = WX[k]; TU[k] = WU[k]
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
  if (!index(addresses, ", ") && !index(addresses, " : ")) {
    ms = times ~ /^[0-9]+\.?[0-9]*$/ ? int(times * 1000 + 0.5) : -1
    if (USTATUS) class = failed(states)
    count("u" substr(addresses, 1, 255), size, ms, ms < 4096 ? BUCKET[ms] : searched(ms))
    class = was
    return
  }
  n = split(addresses, A, /, | : /); split(times, S, /, | : /); split(states, Z, /, | : /)
  if (!USTATUS) { for (i = 1; i < n; i++) Z[i] = ""; Z[n] = states }
  for (i = 1; i <= n; i++) {
    t = S[i]; ms = t ~ /^[0-9]+\.?[0-9]*$/ ? int(t * 1000 + 0.5) : -1
    class = failed(Z[i])
    count("u" substr(A[i], 1, 255), i == n ? size : 0, ms, ms < 4096 ? BUCKET[ms] : searched(ms))
  }
  class = was
}

function failed(state) {
  return state == "499" ? 9 : state ~ /^5[0-9][0-9]$/ ? 5 : state ~ /^4[0-9][0-9]$/ ? 4 : 0
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

function row(a, b, c, d, e, f, g) {
  return a + 0 "\t" b + 0 "\t" c + 0 "\t" d + 0 "\t" e + 0 "\t" f + 0 "\t" g + 0
}

function report(  k, s, i) {
  for (s in IN) if (IN[s] > busiest) { busiest = IN[s]; busiestat = s }
  if (MOST < 0) LEAST = MOST = ""
  i = NR - cut - (PART && NR > 0)
  print "file\t" plain(ENVIRON["OPSNB_LOG"]) "\t" row(i, matched, unmatched, outside, cut, bytes, stopped) "\t" \
    LEAST "\t" MOST "\t" offset + 0 "\t" busiest + 0 "\t" busiestat
  for (i = 1; i <= samples; i++) print "sample\t" plain(SAMPLE[i])
  print "width\t" WIDTH
  for (k in TN) print "time\t" k "\t" row(TN[k], TB[k], T4[k], T5[k], T9[k], TT[k], TX[k]) "\t" histogram(TU, TH, k)
  for (k in N)
    print "key\t" substr(k, 1, 1) "\t" plain(substr(k, 2)) "\t" \
      row(N[k], B[k], E[k, 4], E[k, 5], E[k, 9], T[k], X[k]) "\t" D[k] + 0 "\t" histogram(U, H, k)
  for (k in FLOOR) print "floor\t" k "\t" FLOOR[k] + 0
  for (k in CN) {
    split(k, P, SUBSEP)
    print "status\t" P[1] "\t" plain(P[2]) "\t" CN[k] "\t" CB[k] + 0 "\t" CT[k] + 0
  }
  for (k in KN) print "cache\t" plain(k) "\t" KN[k]
  for (i = 1; i <= slows; i++) print "slow\t" SLOW[i] "\t" SLOWTEXT[i]
  print "done"
}
"""
