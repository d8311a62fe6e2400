/* The style sheet of report.html: light and dark, wide and narrow. */
#ifndef RB_REPORT_STYLE_H
#define RB_REPORT_STYLE_H

#define RB_REPORT_STYLE                                                                                      \
    ":root{--bg:#fafafa;--card:#fff;--ink:#1d2127;--dim:#5b6470;--line:#dfe3e8;--c0:#2563c9;--c1:#c2410c;"   \
    "--c2:#15803d;--c3:#7c3aed;--c4:#b7791f;--c5:#64748b;--c6:#0891b2;--c7:#be185d;--hit:37,99,201;--miss:"  \
    "194,65,12}\n"                                                                                           \
    "@media (prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1c2026;--ink:#e6e9ee;--dim:#9aa4b2;"      \
    "--line:#323841;--c0:#6ea8fe;--c1:#fb923c;--c2:#4ade80;--c3:#b794f6;--c4:#f6c453;--c5:#94a3b8;--c6:#"    \
    "22d3ee;--c7:#f472b6;"                                                                                   \
    "--hit:96,156,250;--miss:251,146,60}}\n"                                                                 \
    "*{box-sizing:border-box}\n"                                                                             \
    "body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}\n"              \
    "main{max-width:1320px;margin:0 auto;padding:16px}\n"                                                    \
    "h1{font-size:1.5rem;margin:.4em 0 .1em;overflow-wrap:anywhere}\n"                                       \
    "h2{font-size:1.15rem;margin:1.6em 0 .5em}h3{font-size:1rem;margin:.2em 0 .4em}\n"                       \
    "p{color:var(--dim);margin:.3em 0 .8em}\n"                                                               \
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:10px}\n"               \
    ".tile,.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px}\n" \
    ".tile{color:var(--dim);font-size:.85rem}.tile b{display:block;color:var(--ink);font-size:1.25rem}\n"    \
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,360px),1fr));gap:12px;"       \
    "margin-top:12px}\n"                                                                                     \
    "figure{margin:0}.card figcaption{display:flex;flex-wrap:wrap;justify-content:space-between;gap:4px}\n"  \
    ".legend span{margin-left:10px;font-size:.85rem}.k0{color:var(--c0)}.k1{color:var(--c1)}"                \
    ".k2{color:var(--c2)}.k3{color:var(--c3)}.k4{color:var(--c4)}.k5{color:var(--c5)}.k6{color:var(--c6)}."  \
    "k7{color:var(--c7)}.legend span::before{content:'';display:inline-block;width:14px;height:3px;"         \
    "margin-right:5px;vertical-align:middle;background:currentColor}\n"                                      \
    ".chart{width:100%;height:auto;display:block}.chart text{fill:var(--dim);font-size:12px}\n"              \
    ".grid{stroke:var(--line)}.chart path{fill:none;stroke-width:2;stroke-linejoin:round}\n"                 \
    "path.s0{stroke:var(--c0)}path.s1{stroke:var(--c1)}path.s2{stroke:var(--c2)}path.s3{stroke:var(--c3)}"   \
    "path.s4{stroke:var(--c4)}path.s5{stroke:var(--c5)}path.s6{stroke:var(--c6)}path.s7{stroke:var(--c7)}\n" \
    "circle.s0{fill:var(--c0)}circle.s1{fill:var(--c1)}circle.s2{fill:var(--c2)}circle.s3{fill:var(--c3)}"   \
    "circle.s4{fill:var(--c4)}circle.s5{fill:var(--c5)}circle.s6{fill:var(--c6)}circle.s7{fill:var(--c7)}\n" \
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}\n"                              \
    "th,td{padding:3px 8px;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}\n"        \
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"                            \
    ".card table{width:100%}td{overflow-wrap:break-word}.facts td,.facts "                                   \
    "th,figcaption{overflow-wrap:anywhere}\n"                                                                \
    ".confusion th{font-weight:500;white-space:nowrap;max-width:160px;overflow:hidden;"                      \
    "text-overflow:ellipsis}.confusion td{text-align:center;min-width:38px}\n"                               \
    ".confusion th:first-child{position:sticky;left:0;background:var(--bg)}\n"                               \
    "td.hit{background:rgba(var(--hit),calc(var(--a)*.65))}"                                                 \
    "td.miss{background:rgba(var(--miss),calc(var(--a)*.85))}\n"                                             \
    ".matrix{width:100%;max-width:560px;height:auto;display:block;border:1px solid var(--line)}\n"           \
    ".paper{fill:var(--card)}rect.hit{fill:rgb(var(--hit))}rect.miss{fill:rgb(var(--miss))}\n"               \
    ".pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(128px,1fr));gap:12px}\n"           \
    ".pictures img{display:block;width:100%;height:auto;max-width:192px;border-radius:6px}\n"                \
    ".pictures figcaption{font-size:.85rem;color:var(--dim);margin-top:4px}\n"                               \
    ".shots{grid-template-columns:repeat(auto-fill,minmax(min(100%,240px),1fr))}"                            \
    ".shots img{max-width:320px}.shots figcaption{max-width:320px}\n"                                        \
    ".bad{color:var(--c1)}.good{color:var(--c2)}\n"                                                          \
    ".bar{display:flex;height:26px;border-radius:6px;overflow:hidden;margin-bottom:10px}.bar i{height:100%}" \
    "\n.memory i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:4px}\n"          \
    ".m0{background:var(--c0)}.m1{background:var(--c1)}.m2{background:var(--c2)}.m3{background:var(--c3)}"   \
    ".m4{background:var(--c4)}.m5{background:var(--c5)}\n"                                                   \
    ".facts{width:100%;table-layout:fixed}.facts th{width:44%;font-weight:500;color:var(--dim)}\n"           \
    "@media (min-width:800px){.facts,.facts tbody{display:block}.facts tbody{columns:2;column-gap:28px}"     \
    ".facts tr{display:flex;break-inside:avoid}.facts th{flex:0 0 40%}.facts td{flex:1}}\n"

#endif
