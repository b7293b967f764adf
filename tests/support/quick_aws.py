"""The AWS CLI without the second that its start takes: one process has it loaded and forks for each call.

`QuickAws(folder, env)` puts an `aws` into the folder, for the PATH of a script that calls it often.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

# Sends the folder and the arguments; gets the exit code in a line, and what was written to standard output.
CLIENT = """#!/usr/bin/env bash
exec 3<>/dev/tcp/127.0.0.1/{port}
printf '%s\\0' "$#" "$PWD" "$@" >&3
read -r code <&3
cat <&3
exit "$code"
"""


class QuickAws:
    def __init__(self, folder, env):
        self.process = subprocess.Popen([sys.executable, __file__], env=env, stdout=subprocess.PIPE, text=True)
        port = self.process.stdout.readline().strip()
        path = Path(folder) / "aws"
        path.write_text(CLIENT.format(port=port))
        path.chmod(0o755)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def received(connection):
    """The folder and the arguments."""
    words = b""
    while b"\0" not in words or words.count(b"\0") < int(words.split(b"\0")[0]) + 2:
        words += connection.recv(1 << 16)
    _, folder, *arguments = words.decode().split("\0")[:-1]
    return folder, arguments


def call(driver, connection):
    import tempfile

    folder, arguments = received(connection)
    os.chdir(folder)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 1)
        code = driver.main(arguments)
        sys.stdout.flush()
        written.seek(0)
        connection.sendall(f"{code}\n".encode() + written.read())


def serve():
    import socket

    from awscli.clidriver import create_clidriver

    driver = create_clidriver()
    for service in ("personalize", "s3"):
        driver.session.get_service_model(service)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                call(driver, connection)
            finally:
                os._exit(0)
        connection.close()


if __name__ == "__main__":
    serve()
