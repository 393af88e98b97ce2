"""Terminal scenarios about files: a log rotation, a deploy folder and a package of tools."""

from __future__ import annotations

from typing import Final

from controllers.worlds.terminal_faults import Atom, Scenario, add, link, mode, sub

ROTATE: Final = Scenario(
    name="rotate",
    ticket=(
        "The log archive of this box is wrong: logs that grew too large are missing in var/archive, or it holds what"
        " it should not, or nothing is written at all. `bin/start` makes the archive."
    ),
    files={
        "etc/rotate.conf": "size=40\nkeep=2\n",
        "etc/env": "# read by every script here\nLOGS=data/logs\nARCHIVE=var/archive\n",
        "bin/start": """#!/bin/bash
# Archives the end of every log that is too large.
cd "$(dirname "$0")/.." || exit 1
. etc/env
used=$(find var -type f -printf '%s\\n' | awk '{n += $1} END {print n + 0}')
[ "$used" -gt 4000 ] && { echo "the quota of var is used up: $used bytes" >&2; exit 1; }
rm -rf "$ARCHIVE"
mkdir -p "$ARCHIVE"
size=$(sed -n 's/^size=//p' etc/rotate.conf)
for log in "$LOGS"/*.log; do
  [ "$(stat -c %s "$log")" -gt "$size" ] || continue
  bin/tail-of "$log" > "$ARCHIVE/$(basename "$log").1" || exit 1
done
tail -n 1 data/latest > "$ARCHIVE/latest"
ls "$ARCHIVE" | grep '[.]1$' > var/index
""",
        "bin/tail-of": """#!/bin/bash
# The last lines of a log.
keep=$(sed -n 's/^keep=//p' etc/rotate.conf)
tail -n "$keep" "$1"
""",
        "data/logs/app.log": "one started\ntwo asked\nthree answered\nfour asked again\n",
        "data/logs/web.log": "GET /a\nGET /b\nGET /c\nGET /d\nGET /e\nGET /f\nGET /g\n",
        "data/logs/tiny.log": "quiet\n",
    },
    checks="""check app 'cat var/archive/app.log.1' "$(printf 'three answered\\nfour asked again')"
check web 'cat var/archive/web.log.1' "$(printf 'GET /f\\nGET /g')"
check latest 'cat var/archive/latest' 'four asked again'
check index 'cat var/index' "$(printf 'app.log.1\\nweb.log.1')"
""",
    links={"data/latest": "logs/app.log"},
    modes={},
    atoms=(
        Atom(
            "small_ones",
            "scripts",
            (sub("bin/start", '-gt "$size"', '-lt "$size"'),),
            r'-lt "\$size"',
            'sed -i \'s/-lt "$size"/-gt "$size"/\' bin/start',
        ),
        Atom(
            "logs_folder",
            "env",
            (sub("etc/env", "LOGS=data/logs", "LOGS=data/log"),),
            r"LOGS=data/log$",
            "sed -i 's|^LOGS=.*|LOGS=data/logs|' etc/env",
        ),
        Atom(
            "wrong_latest",
            "links",
            (link("data/latest", "logs/web.log"),),
            r"latest -> logs/web\.log",
            "ln -sfn logs/app.log data/latest",
        ),
        Atom(
            "closed_log",
            "modes",
            (mode("data/logs/web.log", "0"),),
            r"^0 \./data/logs/web\.log$",
            "chmod 644 data/logs/web.log",
        ),
        Atom(
            "size",
            "config",
            (sub("etc/rotate.conf", "size=40", "size=4000"),),
            r"^size=4000$",
            "sed -i s/^size=4000$/size=40/ etc/rotate.conf",
        ),
        Atom(
            "variable",
            "scripts",
            (sub("bin/tail-of", 'tail -n "$keep"', 'tail -n "$kept"'),),
            r'"\$kept"',
            "sed -i 's/\\$kept/$keep/' bin/tail-of",
        ),
        Atom("quota", "leftovers", (add("var/core.4711", "core " * 1000),), r"var/core\.4711", "rm -f var/core.4711"),
    ),
)

DEPLOY: Final = Scenario(
    name="deploy",
    ticket=(
        "The site that this box deploys to var/www looks wrong: an old page, a wrong host, a notice that should be"
        " gone, or no site at all. `bin/start` deploys; a sound copy of each page is in data/backup."
    ),
    files={
        "etc/deploy.conf": "host=shop.example\ncolour=blue\n",
        "etc/env": "# read by every script here\nSTAGE=live\nTARGET=var/www\n",
        "bin/start": """#!/bin/bash
# Deploys the current release.
cd "$(dirname "$0")/.." || exit 1
. etc/env
[ -e var/deploy.lock ] && { echo "another deploy holds var/deploy.lock" >&2; exit 1; }
mkdir -p "$TARGET"
for page in current/*.html; do
  bin/render "$page" > "$TARGET/$(basename "$page")" || exit 1
done
echo "$STAGE" > "$TARGET/stage"
""",
        "bin/render": """#!/bin/bash
# Fills in a page.
host=$(sed -n 's/^host=//p' etc/deploy.conf)
sed "s/@HOST@/$host/g" "$1"
""",
        "releases/7/index.html": "<h1>Shop</h1> <a href=http://@HOST@/>home</a> <a href=http://@HOST@/new>new</a>\n",
        "releases/7/about.html": "<h1>About @HOST@</h1>\n",
        "releases/6/index.html": "<h1>Old shop</h1> <a href=http://@HOST@/>home</a>\n",
        "releases/6/about.html": "<h1>Old about @HOST@</h1>\n",
        "data/backup/about.html": "<h1>About @HOST@</h1>\n",
        "data/backup/index.html": "<h1>Shop</h1> <a href=http://@HOST@/>home</a> <a href=http://@HOST@/new>new</a>\n",
    },
    checks="""check index 'cat var/www/index.html' \\
  '<h1>Shop</h1> <a href=http://shop.example/>home</a> <a href=http://shop.example/new>new</a>'
check about 'cat var/www/about.html' '<h1>About shop.example</h1>'
check stage 'cat var/www/stage' live
""",
    links={"current": "releases/7"},
    modes={},
    atoms=(
        Atom("render_mode", "modes", (mode("bin/render", "644"),), r"^644 \./bin/render$", "chmod 755 bin/render"),
        Atom(
            "stage",
            "env",
            (sub("etc/env", "STAGE=live", "STAGE=test"),),
            r"STAGE=test",
            "sed -i s/STAGE=test/STAGE=live/ etc/env",
        ),
        Atom(
            "old_release",
            "links",
            (link("current", "releases/6"),),
            r"current -> releases/6",
            "ln -sfn releases/7 current",
        ),
        Atom(
            "host",
            "config",
            (sub("etc/deploy.conf", "shop.example", "shop.invalid"),),
            r"^host=shop\.invalid",
            "sed -i s/shop.invalid/shop.example/ etc/deploy.conf",
        ),
        Atom(
            "torn_page",
            "data",
            (sub("releases/7/about.html", "About @HOST@</h1>\n", "About @HO"),),
            r"About @HO(?!ST)",
            "cp data/backup/about.html releases/7/about.html",
        ),
        Atom(
            "deploy_lock",
            "leftovers",
            (add("var/deploy.lock", "pid 311\n"),),
            r"var/deploy\.lock",
            "rm -f var/deploy.lock",
        ),
        Atom(
            "first_only",
            "scripts",
            (sub("bin/render", "$host/g", "$host/"),),
            r'@HOST@/\$host/"',
            "sed -i 's|\\$host/\"|$host/g\"|' bin/render",
        ),
    ),
)

TOOLS: Final = Scenario(
    name="tools",
    ticket=(
        "The tools of this box are not what they were: `bin/start` runs each that is enabled and keeps what it says"
        " in var/said. Some are missing, some are of an old version, some say what they said last year."
    ),
    files={
        "etc/tools.conf": "enabled=count greet join\n",
        "etc/env": "# read by every script here\nTOOL_PATH=tools:/usr/bin:/bin\nTOOL_CACHE=var/cache\n",
        "bin/start": """#!/bin/bash
# Runs every enabled tool on the words of data/words.
cd "$(dirname "$0")/.." || exit 1
. etc/env
export PATH="$TOOL_PATH"
rm -rf var/said
mkdir -p var/said
status=0
for tool in $(sed -n 's/^enabled=//p' etc/tools.conf); do
  if [ -e "$TOOL_CACHE/$tool" ]; then cat "$TOOL_CACHE/$tool" > "var/said/$tool"; continue; fi
  "$tool" < data/words > "var/said/$tool" || status=1
done
exit $status
""",
        "pkg/count-2/run": "#!/bin/bash\nwc -l\n",
        "pkg/count-1/run": "#!/bin/bash\nwc -c\n",
        "pkg/greet-1/run": '#!/bin/bash\nread -r word\necho "Hello $word"\n',
        "pkg/join-1/run": "#!/bin/bash\npaste -s -d+ -\n",
        "old/count": "count 0\n",
        "old/run": "#!/bin/bash\necho obsolete\n",
        "data/words": "ant\nbee\ncat\n",
    },
    checks="""check count 'cat var/said/count' 3
check greet 'cat var/said/greet' 'Hello ant'
check join 'cat var/said/join' ant+bee+cat
""",
    links={
        "tools/count": "../pkg/count-2/run",
        "tools/greet": "../pkg/greet-1/run",
        "tools/join": "../pkg/join-1/run",
        "old/greet": "run",
        "old/join": "run",
    },
    modes={},
    atoms=(
        Atom(
            "carriage_return",
            "data",
            (sub("data/words", "bee\n", "bee\r\n"),),
            r"bee\^M",
            r"sed -i 's/\r$//' data/words",
        ),
        Atom(
            "path_order",
            "env",
            (sub("etc/env", "TOOL_PATH=tools", "TOOL_PATH=old:tools"),),
            r"TOOL_PATH=old:",
            "sed -i s/TOOL_PATH=old:/TOOL_PATH=/ etc/env",
        ),
        Atom(
            "old_count",
            "links",
            (link("tools/count", "../pkg/count-1/run"),),
            r"count -> \.\./pkg/count-1/run",
            "ln -sfn ../pkg/count-2/run tools/count",
        ),
        Atom(
            "greet_mode",
            "modes",
            (mode("pkg/greet-1/run", "644"),),
            r"^644 \./pkg/greet-1/run$",
            "chmod 755 pkg/greet-1/run",
        ),
        Atom(
            "interpreter",
            "scripts",
            (sub("pkg/join-1/run", "#!/bin/bash", "#!/bin/basch"),),
            r"#!/bin/basch",
            "sed -i '1s/basch/bash/' pkg/join-1/run",
        ),
        Atom(
            "not_enabled",
            "config",
            (sub("etc/tools.conf", " greet join", " greet"),),
            r"^enabled=count greet$",
            "sed -i 's/^enabled=.*/enabled=count greet join/' etc/tools.conf",
        ),
        Atom(
            "stale_cache",
            "leftovers",
            (add("var/cache/greet", "Hello 2023\n"),),
            r"var/cache/greet",
            "rm -f var/cache/greet",
        ),
    ),
)
FILES: Final = (ROTATE, DEPLOY, TOOLS)
