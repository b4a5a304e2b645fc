"""Small jobs of real programs: each a shell script that prints the same wherever it runs, and the files it starts from.

A job normalises what may differ: times, paths, process ids.  ✗ runs nothing, ✗ knows no sandbox.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Job:
    """script runs under `sh -eu` in a writable directory that holds the files; flags are of `nucleus run`."""

    script: str
    files: dict[str, str | bytes] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    shell: tuple[str, ...] = ("sh", "-eu")
    as_ordinary_user: bool = False  # refuses to run as uid 0
    with_pytest: bool = False  # needs the test runner's own packages


def wheel() -> bytes:
    """A wheel of one module and one command."""
    record = io.BytesIO()
    info = "hello-1.0.dist-info"
    with zipfile.ZipFile(record, "w") as archive:
        archive.writestr("hello.py", "def main():\n    print('hello from a wheel')\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\nhello = hello:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return record.getvalue()


PYTHON = Job(
    files={"hello-1.0-py3-none-any.whl": wheel()},
    script="""
/usr/bin/python3 -m venv env
env/bin/pip install --quiet --no-index --no-cache-dir --disable-pip-version-check hello-1.0-py3-none-any.whl
env/bin/hello
env/bin/pip list --format=freeze --disable-pip-version-check | grep hello
env/bin/python - <<'END'
import concurrent.futures, ctypes, decimal, hashlib, json, lzma, multiprocessing, ssl, subprocess, sys, tempfile, zlib
print(sys.prefix.endswith("/env"), decimal.Decimal(2) ** 200)
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda n: hashlib.sha256(str(n).encode()).hexdigest()[:8], range(8))))
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(abs, range(-5, 0)))
print(subprocess.run(["echo", "child"], capture_output=True, text=True).stdout.strip())
print(zlib.crc32(lzma.decompress(lzma.compress(b"x" * 10000))), ctypes.CDLL(None).abs(-3), ssl.OPENSSL_VERSION_INFO[0])
END
""",
)

PYTEST = Job(
    with_pytest=True,
    files={
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = ['-p', 'no:cacheprovider']\n",
        "test_small.py": (
            "import pytest\n\n\n@pytest.mark.parametrize('n', range(5))\ndef test_square(n, tmp_path):\n"
            "    (tmp_path / 'f').write_text(str(n))\n    assert int((tmp_path / 'f').read_text()) ** 2 == n * n\n\n\n"
            "def test_that_fails():\n    assert 1 == 2\n"
        ),
    },
    script="""
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTHONDONTWRITEBYTECODE=1
/usr/bin/python3 -m pytest -v --no-header --rootdir=. test_small.py >out || echo "code $?"
sed -E 's/in [0-9.]+s/in a while/; s/=+/=/g' out | grep -v '^rootdir'
""",
)

GIT = Job(
    script="""
export GIT_AUTHOR_DATE='2024-01-02T03:04:05Z' GIT_COMMITTER_DATE='2024-01-02T03:04:05Z'
git init --quiet --initial-branch=main repo
cd repo
git config user.name Somebody
git config user.email somebody@example.org
i=0
while [ $i -lt 20 ]; do i=$((i+1)); seq $i 100 >file$i; git add .; git commit --quiet -m "commit $i"; done
git checkout --quiet -b side HEAD~5
echo other >other && git add other && git commit --quiet -m side
git checkout --quiet main && git merge --quiet --no-edit side
git gc --quiet
git fsck --strict 2>/dev/null
cd ..
git clone --quiet repo copy
cd copy
git log --format='%H %an %s' | sha256sum
git log --oneline | wc -l
git diff --stat HEAD~3 | cat
git status --short --branch
""",
)

C_MAKE = Job(
    files={
        "Makefile": (
            "CFLAGS = -O2 -Wall\nhello: main.o sum.o\n\t$(CC) $(CFLAGS) -o $@ $^ -lm -lpthread\n"
            "clean:\n\trm -f *.o hello\n"
        ),
        "sum.c": "#include <math.h>\ndouble sum(int n){double s=0;for(int i=1;i<=n;i++)s+=sqrt(i);return s;}\n",
        "main.c": (
            "#include <pthread.h>\n#include <stdio.h>\ndouble sum(int);\nstatic void *run(void *n)"
            '{static __thread double d;d=sum(*(int*)n);printf("%.6f\\n",d);return 0;}\n'
            "int main(void){pthread_t t;int n=1000;pthread_create(&t,0,run,&n);pthread_join(t,0);return 0;}\n"
        ),
    },
    script="""
make -j2 | sort
./hello
gcc -c -O2 sum.c -o sum2.o && cmp sum.o sum2.o && echo same object
sha256sum hello
make clean
printf 'int main(){return 7;}' | gcc -x c - -o seven
./seven || echo "code $?"
""",
)

FILES = Job(
    script="""
mkdir -p tree/a/b tree/c
i=0
while [ $i -lt 50 ]; do i=$((i+1)); seq $i >tree/a/$i; done
head -c 300000 /dev/zero >tree/c/zeros
ln -s ../a/1 tree/c/link; ln tree/a/2 tree/a/b/hard; mkfifo tree/c/pipe; chmod 640 tree/a/3
touch -d '2024-01-02T03:04:05Z' tree/a/4
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf all.tar tree
sha256sum all.tar
gzip -9 -n -k all.tar && sha256sum all.tar.gz
mkdir out && tar -xzf all.tar.gz -C out
diff -r --no-dereference tree/a out/tree/a && echo equal
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cJf all.tar.xz tree && tar -tf all.tar.xz | wc -l
rsync -aH --delete tree/ mirror/ && rsync -aH --itemize-changes --delete tree/ mirror/ | wc -l
echo new >tree/a/5 && rm tree/a/6 && rsync -aHOc --out-format=%n --delete tree/ mirror/ | sort
find mirror -type f -size +1k -newermt 2024-06-01 -printf '%P %s %m %n\\n' | sort | sha256sum
find mirror -name '1*' -print0 | sort -z | xargs -0 -n 4 -P 2 wc -l | grep -c total
cp -a mirror again && du -s --apparent-size mirror/a | cut -f1 && find again -type l -exec readlink {} \\;
""",
)

NODE = Job(
    files={
        "local/package.json": '{"name": "greeter", "version": "1.2.3", "main": "index.js", "bin": "index.js"}',
        "local/index.js": "#!/usr/bin/env node\nconsole.log('local package');\n",
        "work.js": (
            "const {Worker, isMainThread, parentPort} = require('worker_threads');\n"
            "if (!isMainThread) { let s = 0; for (let i = 0; i < 1e6; i++) s = (s * 31 + i) % 1000003;"
            " parentPort.postMessage(s); }\n"
            "else { const crypto = require('crypto'), fs = require('fs'), http = require('http');\n"
            " const zlib = require('zlib');\n"
            " console.log(crypto.createHash('sha256').update('x'.repeat(1e5)).digest('hex'));\n"
            " fs.writeFileSync('f', zlib.gzipSync('hello'));\n"
            " console.log(zlib.gunzipSync(fs.readFileSync('f')).toString());\n"
            " new Worker(__filename).on('message', m => { console.log('worker', m);\n"
            "  const server = http.createServer((q, r) => r.end('over loopback')).listen(0, '127.0.0.1', () => \n"
            "   http.get({port: server.address().port, host: '127.0.0.1'}, r => r.on('data', d => \n"
            "    { console.log(d.toString()); server.close(); }))); }); }\n"
        ),
    },
    script="""
export npm_config_update_notifier=false npm_config_cache=$PWD/cache
node work.js
node -e 'console.log(require("child_process").execSync("echo child").toString().trim())'
(cd local && npm pack --offline --silent)
mkdir app && cd app && echo '{"name": "app", "version": "1.0.0"}' >package.json
npm install --offline --no-audit --no-fund --silent ../local/greeter-1.2.3.tgz
npx --offline --no-install greeter
node -p 'require("greeter/package.json").version'
npm ls --offline | tail -n +2
""",
)

SQLITE = Job(
    script="""
sqlite3 data.db <<'END'
PRAGMA journal_mode=WAL;
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, value REAL);
CREATE INDEX by_name ON t(name);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000)
INSERT INTO t SELECT i, printf('row%05d', i * 7919 % 5000), i / 7.0 FROM n;
BEGIN; DELETE FROM t WHERE id % 3 = 0; ROLLBACK;
DELETE FROM t WHERE id % 5 = 0;
SELECT count(*), round(sum(value), 3), max(name) FROM t;
PRAGMA integrity_check;
VACUUM;
END
sqlite3 data.db .dump | sha256sum
""",
)

PERL = Job(
    script="""
perl -MFile::Temp -MPOSIX -MIO::Socket::INET -MDigest::SHA=sha256_hex -e '
my %h = map { $_ => sha256_hex($_) } 1..50;
print substr(join("", map { $h{$_} } sort keys %h), 0, 64), "\\n";
my $f = File::Temp->new(DIR => "."); print $f "one\\ntwo\\n"; close $f; open my $g, "<", "$f";
print scalar(() = <$g>), "\\n";
my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1");
my $p = fork;
if (!$p) { my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $s->sockport); print $c "by socket\\n";
exit 3 }
print scalar readline $s->accept; waitpid $p, 0; print $? >> 8, "\\n";
my $rang = 0; local $SIG{ALRM} = sub { $rang = 1 }; alarm 1; select undef, undef, undef, 0.05 until $rang;
print "alarm\\n", "abc" =~ s/b/-/r, "\\n";'
""",
)

BASH = Job(
    shell=("bash", "--norc", "-eu"),
    script="""
set -m
sleep 300 & sleep 400 &
jobs -r | sed 's/&//' | sort
kill %1; wait %1 || echo "first: $?"
kill -STOP %2; until jobs -s | grep -q Stopped; do sleep 0.1; done
jobs -s | grep -o Stopped
kill -CONT %2; kill -INT %2; wait %2 || echo "second: $?"
(exit 5) & wait $! || echo "third: $?"
trap 'echo trapped' USR1; kill -USR1 $$
diff <(seq 3) <(seq 4) || true
mapfile -t lines < <(printf '%s\\n' a b c); echo "${lines[@]^^}"
coproc CAT { cat; }; echo through >&"${CAT[1]}"; read -r word <&"${CAT[0]}"; echo "$word"; kill $CAT_PID
yes | head -n 3 | tr '\\n' ' '; echo
ulimit -c; umask
""",
)

POSTGRES = Job(
    as_ordinary_user=True,
    flags=("--shm-size", "128M"),
    script="""
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
export LC_ALL=C PGHOST=$(mktemp -d /tmp/pg.XXXXXX) PGUSER=tester PGDATABASE=postgres
initdb --pgdata=data --username=tester --auth=trust --no-sync --locale=C >log 2>&1 || { cat log; exit 1; }
options="-k $PGHOST -c listen_addresses= -c fsync=off"
pg_ctl --pgdata=data --wait --silent --log=log --options="$options" start || { cat log; exit 1; }
pgbench --initialize --quiet --scale=1 >/dev/null 2>&1
pgbench --client=1 --transactions=200 --random-seed=42 2>/dev/null | grep -E 'processed|failed|type'
pgbench --client=4 --jobs=2 --transactions=50 --no-vacuum 2>/dev/null | grep -E 'processed|failed'
psql -Atc 'SELECT count(*), count(DISTINCT bid) FROM pgbench_accounts' -c 'SELECT count(*) FROM pgbench_history'
export PGOPTIONS='-c max_parallel_workers_per_gather=2 -c parallel_setup_cost=0 -c min_parallel_table_scan_size=0'
psql -Atc "SELECT sum(aid), md5(string_agg(filler, '' ORDER BY aid)) FROM pgbench_accounts"
psql -Atc 'CREATE TABLE t AS SELECT generate_series(1,1000) n' -c 'ANALYZE t' -c 'SELECT sum(n) FROM t'
kill -HUP "$(head -n 1 data/postmaster.pid)"
pg_ctl --pgdata=data --wait --silent --mode=fast stop
grep -c 'database system is shut down' log
rm -rf "$PGHOST"
""",
)

JOBS = {
    "python, venv, pip": PYTHON, "pytest": PYTEST, "git": GIT, "gcc and make": C_MAKE, "tar, gzip, rsync, find": FILES,
    "node and npm": NODE, "sqlite3": SQLITE, "perl": PERL, "bash job control": BASH, "postgresql": POSTGRES,
}  # fmt: skip
