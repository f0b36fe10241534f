"""slurmdbd and its storage: a MariaDB of its own, bare of all that Slurm does not need, below the cluster's folder."""
import secrets
import subprocess
from pathlib import Path

SYSTEM_TABLES = Path("/usr/share/mysql")


def make_database(folder, mariadbd):
    """An empty data folder, as mariadb-install-db makes it, and the password of a user `slurm`."""
    data = folder / "mariadb"
    (data / "tmp").mkdir(parents=True)
    password = secrets.token_hex(16)
    tables = "".join((SYSTEM_TABLES / name).read_text() for name in ("mysql_system_tables.sql", "mysql_system_tables_data.sql"))
    statements = (f"create database mysql;\nuse mysql;\n{tables}\nflush privileges;\ncreate database slurm;\n"
                  f"create user 'slurm'@'127.0.0.1' identified by '{password}';\n"
                  "grant all on slurm.* to 'slurm'@'127.0.0.1';\n")
    done = subprocess.run([mariadbd, *options(folder), "--bootstrap", "--skip-networking"], input=statements,
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"mariadbd --bootstrap fails:\n{done.stderr[-2000:]}")
    return password


def options(folder):
    """Nothing here has to outlive the test, so nothing is synced. At its start a MariaDB empties its folder for temporary tables, which
    must not be that of another cluster that starts at the same time."""
    data = folder / "mariadb"
    return ["--no-defaults", "--user=root", f"--datadir={data}", f"--tmpdir={data}/tmp", f"--socket={data}/socket",
            f"--pid-file={data}/pid", "--skip-log-bin", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync",
            "--innodb-doublewrite=0", "--innodb-log-file-size=16M", "--innodb-buffer-pool-size=32M",
            "--innodb-lock-wait-timeout=900", "--performance-schema=0", "--aria-pagecache-buffer-size=8M"]


def slurmdbd_conf(folder, port, storage_port, password):
    return f"""\
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={storage_port}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
CommitDelay=0
"""
