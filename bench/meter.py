"""What the measurements of memory and growth share: one process watched from outside, the machine, times in
words, tables in documents."""
import datetime, json, os, platform, re, subprocess, tempfile, threading, time


def resident(pid):
    """Bytes that a process has in memory now; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


class Watch(threading.Thread):
    """Kills a process that grows or takes longer than it may, before the machine runs out."""

    def __init__(self, process, seconds, limit):
        super().__init__(daemon=True)
        self.process, self.seconds, self.limit, self.reason, self.over = process, seconds, limit, None, threading.Event()
        self.start()

    def run(self):
        end = time.monotonic() + self.seconds
        while not self.over.wait(0.02):
            if resident(self.process.pid) > self.limit:
                self.reason = f"more than {self.limit / 2**30:.0f} GiB"
            elif time.monotonic() > end:
                self.reason = f"more than {self.seconds:.0f} s"
            if self.reason:
                return self.process.kill()


def measure(words, seconds=600, limit=20 << 30):
    """Runs a command that prints a JSON object on its last line: {"peak_rss_bytes": by wait4, "said": the object} or
    {"peak_rss_bytes": …, "failed": why}."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen([str(w) for w in words], stdout=out, stderr=err)
        watch = Watch(process, seconds, limit)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.over.set()
        watch.join()
        out.seek(0), err.seek(0)
        lines, complaint = out.read().strip().splitlines(), err.read().strip().splitlines()
    result = {"peak_rss_bytes": usage.ru_maxrss * 1024}
    if process.returncode:
        return {**result, "failed": watch.reason or (complaint or [f"exit status {process.returncode}"])[-1]}
    try:
        return {**result, "said": json.loads(lines[-1])}
    except (ValueError, IndexError):
        return {**result, "said": {}}


def machine():
    """What every result file says of where it was measured."""
    with open("/proc/cpuinfo") as f:
        name = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.processor())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"date": datetime.date.today().isoformat(), "commit": commit, "processor": name}


def span(hours):
    """A time in words, in the unit that suits it."""
    for limit, hours_each, unit in ((1, 1 / 60, "min"), (48, 1, "h"), (17520, 24, "days")):
        if hours < limit:
            return f"{hours / hours_each:.3g} {unit}"
    return f"{hours / 8760:.3g} years"


def save(path, value):
    """Writes JSON, whole or not at all."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".tmp", "w") as f:
        json.dump(value, f, indent=1)
    os.replace(path + ".tmp", path)


def put_between(path, mark, text):
    """Replaces what is between `<!-- MARK: begin -->` and `<!-- MARK: end -->` of a document."""
    with open(path) as f:
        old = f.read()
    new, found = re.subn(rf"(<!-- {mark}: begin -->\n).*?(<!-- {mark}: end -->)", lambda m: m[1] + text + "\n" + m[2], old, flags=re.S)
    if not found:
        raise SystemExit(f"{path}: no place for {mark}")
    with open(path, "w") as f:
        f.write(new)
