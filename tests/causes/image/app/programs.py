"""What apps do that fails in the sandbox: `python3 programs.py NAME`, or CAUSE=NAME before `web:app`."""

import asyncio
import ctypes
import logging
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)


def call(number: int, name: str, *arguments: object) -> None:
    """Make a system call that Python has no function for."""
    if LIBC.syscall(number, *arguments) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), name)


# Files


def write_in_image():
    Path("cache").mkdir()


def write_log():
    logging.basicConfig(filename="/var/log/shop.log")


def write_bytecode_cache():
    shutil.copytree("/usr/share/zoneinfo/Arctic", "/opt/zones")


def sqlite_in_image():
    Path("/tmp/x").touch()
    sqlite3.connect("/app/data/shop.db").execute("create table t (x)")


def sqlite_readonly():
    sqlite3.connect("/app/shop.db").execute("create table t (x)")


def write_run():
    Path("/run/shop.pid").write_text("1")


def not_mine():
    state = Path(os.environ["STATE_DIRECTORY"]) / "cache"
    state.mkdir(exist_ok=True)
    state.chmod(0o500)
    (state / "x").write_text("x")


def missing_file():
    Path("/app/config.yaml").read_text()


def model_in_root():
    Path("/root/.cache/huggingface/hub/model.safetensors").read_bytes()


def model_in_home():
    Path("/home/app/.cache/torch/model.pt").read_bytes()


def tmp_of_the_build():
    Path("/tmp/model.bin").read_bytes()


def shm_full():
    with Path("/dev/shm/frame").open("wb") as file:
        for _ in range(100):
            file.write(bytes(2**20))


def tmp_exec():
    script = Path("/tmp/tool")
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)
    subprocess.run([script], check=True)


def shm_exec():
    shutil.copy("/usr/bin/true", "/dev/shm/true")
    subprocess.run(["/dev/shm/true"], check=True)


def tmp_library():
    shutil.copy("/usr/lib/x86_64-linux-gnu/libz.so.1", "/tmp/libz.so")
    ctypes.CDLL("/tmp/libz.so")


# Memory


def cffi_callback():
    import cffi

    ffi = cffi.FFI()
    ffi.callback("int(int)", lambda number: number + 1)


def map_executable():
    import mmap

    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def out_of_memory():
    held = []
    while True:
        held.append(os.urandom(2**20))


def killed():
    time.sleep(0.5)
    os.kill(os.getpid(), 9)


def psycopg_python():
    import psycopg


def threads():
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def open_files():
    held = []
    while True:
        held.append(socket.socketpair())


# Privileges


def chown():
    Path("/tmp/data").mkdir(exist_ok=True)
    os.chown("/tmp/data", 1000, 1000)


def setuid():
    os.setuid(1000)


def setgroups():
    os.setgroups([1000])


def set_id_bit():
    Path("/tmp/tool").touch()
    os.chmod("/tmp/tool", 0o4755)


def nice():
    os.nice(-5)


def affinity():
    os.sched_setaffinity(0, {0})


def limits():
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 2**20))


def realtime():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def device():
    import stat

    os.mknod("/tmp/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))


def hostname():
    socket.sethostname("shop")


def namespace():
    os.unshare(os.CLONE_NEWUSER)


def memfd():
    os.memfd_create("code")


def ring():
    call(425, "io_uring_setup", 8, ctypes.create_string_buffer(120))


def keyring():
    call(248, "add_key", b"user", b"shop", b"x", 1, -3)


def raw_socket():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def bluetooth():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)


# /proc


def cpu_percent():
    import psutil

    psutil.cpu_percent()


def memory():
    import psutil

    psutil.virtual_memory()


def uptime():
    Path("/proc/uptime").read_text()


# Networks


def name():
    import httpx

    httpx.get("https://prices.example.com")


def address():
    asyncio.run(asyncio.wait_for(asyncio.open_connection("192.0.2.1", 443), 3))


def refused():
    socket.create_connection(("127.0.0.1", 6379))


def port_in_use():
    first, second = socket.socket(), socket.socket()
    first.bind(("127.0.0.1", 8000))
    first.listen()
    second.bind(("127.0.0.1", 8000))


# Settings


def settings():
    from pydantic import Field
    from pydantic_settings import BaseSettings

    class Settings(BaseSettings):
        database_url: str
        secret_key: str
        smtp_host: str
        smtp_port: int
        api_key: str = Field(alias="SHOP_API_KEY")

    Settings()


def settings_value():
    from pydantic import PostgresDsn
    from pydantic_settings import BaseSettings

    class Settings(BaseSettings):
        workers: int
        database_url: PostgresDsn

    os.environ["WORKERS"] = "many"
    os.environ["DATABASE_URL"] = "sqlite:///x"
    Settings()


def settings_list():
    from pydantic_settings import BaseSettings

    class Settings(BaseSettings):
        allowed_hosts: list[str]

    os.environ["ALLOWED_HOSTS"] = "shop.example"
    Settings()


def settings_1():
    from pydantic.v1 import BaseSettings

    class Settings(BaseSettings):
        database_url: str
        secret_key: str

    Settings()


def environ():
    os.environ["PAYMENT_URL"]


def starlette_config():
    from starlette.config import Config

    Config()("SECRET_KEY")


# Imports


def missing_module():
    import stripe


def missing_name():
    from fastapi import FastApi


def syntax():
    import unparsable


def missing_library():
    ctypes.CDLL("libmagic.so.1")


# PostgreSQL


def connect(url):
    import psycopg

    psycopg.connect(url)


def peer():
    connect("postgresql://postgres@/app?host=/run/postgresql")


def role():
    connect("postgresql://shop@/app?host=/run/postgresql")


def database():
    connect("postgresql://app@/shop?host=/run/postgresql")


def peer_asyncpg():
    import asyncpg

    asyncio.run(asyncpg.connect(host="/run/postgresql", user="postgres", database="app"))


def tcp_psycopg2():
    import psycopg2

    psycopg2.connect("postgresql://app@localhost/app")


def tcp_asyncpg():
    import asyncpg

    asyncio.run(asyncpg.connect("postgresql://app@localhost/app"))


def password():
    import psycopg

    psycopg.connect("postgresql://app:wrong@127.0.0.1/app")


def create_all():
    import sqlalchemy as sa

    metadata = sa.MetaData()
    sa.Table("links", metadata, sa.Column("id", sa.Integer, primary_key=True))
    metadata.create_all(sa.create_engine("postgresql+psycopg://app@/app?host=/run/postgresql"))


def create_all_async():
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import create_async_engine

    metadata = sa.MetaData()
    sa.Table("links", metadata, sa.Column("id", sa.Integer, primary_key=True))

    async def create():
        async with create_async_engine("postgresql+asyncpg://app@/app?host=/run/postgresql").begin() as connection:
            await connection.run_sync(metadata.create_all)

    asyncio.run(create())


def alter():
    import psycopg

    psycopg.connect("postgresql://app@/app?host=/run/postgresql").execute("alter table theirs add column x int")


def relation():
    import psycopg

    psycopg.connect("postgresql://app@/app?host=/run/postgresql").execute("select * from orders")


def sqlite_relation():
    sqlite3.connect(":memory:").execute("select * from orders")


def connections():
    import psycopg

    held = [psycopg.connect("postgresql://app@/app?host=/run/postgresql") for _ in range(20)]
    print(len(held))


def sync_driver():
    from sqlalchemy.ext.asyncio import create_async_engine

    create_async_engine("postgresql+psycopg2://app@/app?host=/run/postgresql")


def old_scheme():
    import sqlalchemy as sa

    sa.create_engine("postgres://app@/app?host=/run/postgresql")


def missing_driver():
    import sqlalchemy as sa

    sa.create_engine("postgresql+pg8000://app@/app")


# What nobody knows


def licence():
    raise RuntimeError("the licence has expired")


def silent():
    sys.exit(3)


def segfault():
    ctypes.string_at(0)


def handled():
    """A refusal that the app gets over, and later what ends it."""
    try:
        Path("cache").mkdir()
    except OSError as error:
        logging.warning("no cache: %s", error)
    raise RuntimeError("the licence has expired")


def pool():
    with ProcessPoolExecutor(4) as workers:
        list(workers.map(Path.read_text, [Path("/app/rates.csv")] * 8))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
