"""Who runs the kit, if root starts it?  Servers refuse to run as root: so the user that they usually run as."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

SERVER_USER = "postgres"
SAFE_PATH = "/usr/local/bin:/usr/bin:/bin"


def run_again(script, arguments):
    """Runs a script of this folder once more, as that user, in a copy that it can read; ends with the script's status."""
    try:
        user = pwd.getpwnam(SERVER_USER)
    except KeyError:
        sys.exit(f"servers do not run as root, and there is no user {SERVER_USER}: run this as an ordinary user")
    path = SAFE_PATH + ":" + os.environ.get("PATH", "")
    environment = dict(os.environ, HOME=user.pw_dir, USER=SERVER_USER, LOGNAME=SERVER_USER, PATH=path)
    folder = tempfile.mkdtemp(prefix="domev-kit.", dir="/tmp")
    try:
        command = [shutil.which("python3", path=path), _copy(folder, script)] + arguments
        sys.stdout.flush()
        child = subprocess.Popen(command, cwd="/", env=environment, user=user.pw_uid, group=user.pw_gid,
                                 extra_groups=os.getgrouplist(SERVER_USER, user.pw_gid))
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda number, _frame: child.send_signal(number))
        status = child.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status if status >= 0 else 128 - status)


def _copy(folder, script):
    """What the kit is made of; returns the path of the script there."""
    here = os.path.dirname(os.path.abspath(__file__))
    os.chmod(folder, 0o755)
    shutil.copytree(here, os.path.join(folder, "conformance"), ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(os.path.join(here, "..", "make-conf.sh"), folder)
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(parent, name)
            os.chmod(path, os.stat(path).st_mode | (0o555 if os.path.isdir(path) else 0o444))
    return os.path.join(folder, "conformance", script)
