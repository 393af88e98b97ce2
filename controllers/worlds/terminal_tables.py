"""Terminal scenarios about tables: a pipeline of shell scripts and a ledger of accounts."""

from __future__ import annotations

from typing import Final

from controllers.worlds.terminal_faults import Atom, Scenario, add, link, mode, sub

PIPELINE: Final = Scenario(
    name="pipeline",
    ticket=(
        "The pipeline of this box delivers a wrong table or none. `bin/start` runs it: it extracts, cleans and loads"
        " the month's orders into var/out.csv, sorted by order number. Rows are missing, out of order or not of"
        " this month."
    ),
    files={
        "etc/pipe.conf": "columns=2\nheader=order,total\n",
        "etc/env": "# read by every script here\nSEP=,\nINPUT=data/month.csv\n",
        "bin/start": """#!/bin/bash
# Extract, clean, load.
cd "$(dirname "$0")/.." || exit 1
. etc/env
export SEP
set -o pipefail
sed -n 's/^header=//p' etc/pipe.conf > var/out.new
bin/extract < "$INPUT" | bin/clean | bin/load >> var/out.new || { rm -f var/out.new; exit 1; }
mv var/out.new var/out.csv
""",
        "bin/extract": """#!/bin/bash
# The first columns of every row.
columns=$(sed -n 's/^columns=//p' etc/pipe.conf)
cut -d"$SEP" -f"1-$columns"
""",
        "bin/clean": """#!/bin/bash
# Only rows with a number in front and a whole total.
grep -E "^[0-9]+$SEP[0-9]+$"
""",
        "bin/load": """#!/bin/bash
# By order number.
sort -t"$SEP" -n -k1,1
""",
        "data/2024-05.csv": "1,10,ann\n2,20,bob\n",
        "data/2024-06.csv": "12,30,ann\n9,250,cid\nnote,,\n10,40,bob\n",
    },
    checks="""check header 'head -n 1 var/out.csv' order,total
check rows 'sed 1d var/out.csv | sort' "$(printf '10,40\\n12,30\\n9,250')"
check order 'sed 1d var/out.csv | cut -d, -f1' "$(printf '9\\n10\\n12')"
""",
    links={"data/month.csv": "2024-06.csv"},
    modes={},
    atoms=(
        Atom(
            "folder_in_the_way",
            "leftovers",
            (add("var/out.csv/keep", "x\n"),),
            r"var/out\.csv/keep",
            "rm -rf var/out.csv",
        ),
        Atom(
            "separator", "env", (sub("etc/env", "SEP=,", "SEP=';'"),), r"SEP=';'", "sed -i 's/^SEP=.*/SEP=,/' etc/env"
        ),
        Atom(
            "last_month",
            "links",
            (link("data/month.csv", "2024-05.csv"),),
            r"month\.csv -> 2024-05",
            "ln -sfn 2024-06.csv data/month.csv",
        ),
        Atom("clean_mode", "modes", (mode("bin/clean", "644"),), r"^644 \./bin/clean$", "chmod 755 bin/clean"),
        Atom(
            "sort_key",
            "scripts",
            (sub("bin/load", "-n -k1,1", "-k1,1"),),
            r'sort -t"\$SEP" -k1,1',
            "sed -i 's/ -k1,1/ -n -k1,1/' bin/load",
        ),
        Atom(
            "carriage_return",
            "data",
            (sub("data/2024-06.csv", "9,250,cid", "9,250\r,cid"),),
            r"9,250\^M",
            r"sed -i 's/\r//' data/2024-06.csv",
        ),
        Atom(
            "columns",
            "config",
            (sub("etc/pipe.conf", "columns=2", "columns=3"),),
            r"^columns=3$",
            "sed -i s/^columns=3$/columns=2/ etc/pipe.conf",
        ),
    ),
)

LEDGER: Final = Scenario(
    name="ledger",
    ticket=(
        "The balances that this box computes do not agree with the bank's. `bin/start` adds the month's movements to"
        " the accounts and writes var/balances. Accounts are missing, sums are off, or the month is not booked."
    ),
    files={
        "etc/ledger.conf": "currency=EUR\nfee=1\n",
        "etc/env": "# read by every script here\nMOVES=data/moves.csv\nACCOUNTS=data/accounts.csv\n",
        "bin/start": """#!/bin/bash
# Books the month.
cd "$(dirname "$0")/.." || exit 1
. etc/env
[ -e var/closed ] && { echo "the month is closed: see var/closed" >&2; exit 0; }
fee=$(sed -n 's/^fee=//p' etc/ledger.conf)
currency=$(sed -n 's/^currency=//p' etc/ledger.conf)
awk -F, -v fee="$fee" -v currency="$currency" -f bin/book.awk "$ACCOUNTS" "$MOVES" > var/balances.new || exit 1
mv var/balances.new var/balances
""",
        "bin/book.awk": """# accounts: name,opening; moves: name,amount
FNR == 1 { next }
FILENAME ~ /accounts/ { names[++n] = $1; sum[$1] = $2; next }
$1 in sum && $2 ~ /^-?[0-9]+$/ { sum[$1] += $2 - fee }
END { for (i = 1; i <= n; i++) print names[i], sum[names[i]], currency }
""",
        "data/accounts.csv": "name,opening\nmill,100\ninn,50\nforge,0\n",
        "data/moves/05.csv": "name,amount\nmill,5\n",
        "data/moves/06.csv": "name,amount\nmill,25\ninn,-10\nforge,70\ninn,31\n",
    },
    checks="""check mill 'grep ^mill var/balances' 'mill 124 EUR'
check inn 'grep ^inn var/balances' 'inn 69 EUR'
check forge 'grep ^forge var/balances' 'forge 69 EUR'
check accounts 'wc -l < var/balances' 3
""",
    links={"data/moves.csv": "moves/06.csv"},
    modes={"bin/book.awk": 0o644},
    atoms=(
        Atom(
            "closed_moves",
            "modes",
            (mode("data/moves/06.csv", "0"),),
            r"^0 \./data/moves/06\.csv$",
            "chmod 644 data/moves/06.csv",
        ),
        Atom(
            "accounts_name",
            "env",
            (sub("etc/env", "data/accounts.csv", "data/account.csv"),),
            r"data/account\.csv",
            "sed -i s,data/account.csv,data/accounts.csv, etc/env",
        ),
        Atom(
            "last_month",
            "links",
            (link("data/moves.csv", "moves/05.csv"),),
            r"moves\.csv -> moves/05",
            "ln -sfn moves/06.csv data/moves.csv",
        ),
        Atom(
            "letter_o",
            "data",
            (sub("data/moves/06.csv", "forge,70", "forge,7O"),),
            r"forge,7O",
            "sed -i s/forge,7O/forge,70/ data/moves/06.csv",
        ),
        Atom(
            "fee",
            "config",
            (sub("etc/ledger.conf", "fee=1", "fee=10"),),
            r"^fee=10$",
            "sed -i s/^fee=10$/fee=1/ etc/ledger.conf",
        ),
        Atom(
            "first_row",
            "scripts",
            (sub("bin/book.awk", "FNR == 1 {", "FNR <= 2 {"),),
            r"FNR <= 2",
            "sed -i 's/FNR <= 2/FNR == 1/' bin/book.awk",
        ),
        Atom("closed", "leftovers", (add("var/closed", "closed by mistake\n"),), r"var/closed", "rm -f var/closed"),
    ),
)
TABLES: Final = (PIPELINE, LEDGER)
