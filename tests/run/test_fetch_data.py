#!/usr/bin/env python3
"""tools/fetch-data against a server on localhost: fresh, resumed, damaged and missing files."""

import hashlib
import http.server
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "fetch-data"
MNIST = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves server.files from memory, with Range unless server.ranges is off; sends at most
    server.limit bytes of a body and then breaks off."""

    def do_GET(self):
        name = self.path.rsplit("/", 1)[-1]
        wanted = self.headers.get("Range")
        self.server.requests.append((name, wanted))
        body = self.server.files.get(name)
        if body is None:
            self.send_error(404)
            return
        start = 0
        if wanted and self.server.ranges:
            start = int(wanted.split("=")[1].split("-")[0])
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:][: self.server.limit])
        self.close_connection = True

    def log_message(self, *_):
        pass


def made_up(name, size):
    """Bytes that do not repeat, other ones for each name."""
    return b"".join(
        hashlib.sha256(f"{name} {k}".encode()).digest() for k in range(size // 32 + 1)
    )[:size]


class FetchData(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.files = {name: made_up(name, 50000) for name in MNIST}
        self.server.requests = []
        self.server.ranges = True
        self.server.limit = None
        self.url = f"http://127.0.0.1:{self.server.server_port}/mirror/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.dir = self.root / "mnist"
        self.sums = self.root / "sums"
        self.publish()

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()

    def publish(self):
        """The table of checksums is that of the files as they are now."""
        lines = [f"{hashlib.md5(d).hexdigest()}  {n}\n" for n, d in self.server.files.items()]
        self.sums.write_text("".join(lines))

    def run_tool(self, *arguments, **environment):
        names = ("http_proxy", "https_proxy", "all_proxy", "NTKLENS_DATA", "NTKLENS_MIRROR")
        clean = {k: v for k, v in os.environ.items() if k not in names and k.lower() not in names}
        clean.update(NTKLENS_CHECKSUMS=str(self.sums), **environment)
        return subprocess.run(
            [str(TOOL), *map(str, arguments)],
            env=clean,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def fetch(self):
        return self.run_tool("--from", self.url, "mnist", self.dir)

    def assert_complete(self):
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), sorted(self.server.files))
        for name, data in self.server.files.items():
            self.assertEqual((self.dir / name).read_bytes(), data)

    def test_a_fresh_download_is_complete_and_a_second_call_downloads_nothing(self):
        result = self.fetch()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")
        self.assert_complete()
        self.server.requests.clear()
        self.assertEqual(self.fetch().returncode, 0)
        self.assertEqual(self.server.requests, [])

    def test_the_folder_defaults_to_that_of_ntklens_data(self):
        result = self.run_tool(
            "fashion-mnist", NTKLENS_MIRROR=self.url, NTKLENS_DATA=str(self.root / "all")
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.dir = self.root / "all" / "fashion-mnist"
        self.assert_complete()
        self.assertEqual(self.run_tool("mnist", NTKLENS_MIRROR=self.url).returncode, 0)
        self.dir = self.root / "data" / "mnist"
        self.assert_complete()

    def test_half_a_file_is_resumed_where_it_ends(self):
        self.dir.mkdir()
        (self.dir / (MNIST[0] + ".part")).write_bytes(self.server.files[MNIST[0]][:30000])
        result = self.fetch()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_complete()
        self.assertIn((MNIST[0], "bytes=30000-"), self.server.requests)
        self.assertEqual(len(self.server.requests), 4)

    def test_a_download_that_breaks_off_is_kept_and_resumed_by_the_next_call(self):
        self.server.limit = 20000
        result = self.fetch()
        self.assertEqual(result.returncode, 3)
        self.assertIn(MNIST[0], result.stderr)
        part = self.dir / (MNIST[0] + ".part")
        self.assertEqual(part.read_bytes(), self.server.files[MNIST[0]][:20000])
        self.assertFalse((self.dir / MNIST[0]).exists())
        self.server.limit = None
        self.server.requests.clear()
        self.assertEqual(self.fetch().returncode, 0)
        self.assert_complete()
        self.assertEqual({wanted for _, wanted in self.server.requests}, {"bytes=20000-"})

    def test_a_whole_part_only_gets_its_name(self):
        self.assertEqual(self.fetch().returncode, 0)
        (self.dir / MNIST[1]).rename(self.dir / (MNIST[1] + ".part"))
        self.server.requests.clear()
        self.assertEqual(self.fetch().returncode, 0)
        self.assert_complete()
        self.assertEqual(self.server.requests, [])

    def test_a_damaged_part_is_removed_and_fetched_anew(self):
        for damaged in (b"x" * 30000, b"x" * 50000, b"x" * 60000):  # short, as long, too long
            with self.subTest(length=len(damaged)):
                self.dir.mkdir(exist_ok=True)
                (self.dir / MNIST[0]).unlink(missing_ok=True)
                (self.dir / (MNIST[0] + ".part")).write_bytes(damaged)
                result = self.fetch()
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assert_complete()

    def test_a_server_that_cannot_resume_sends_the_file_anew(self):
        self.server.ranges = False
        self.dir.mkdir()
        (self.dir / (MNIST[0] + ".part")).write_bytes(self.server.files[MNIST[0]][:30000])
        result = self.fetch()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_complete()

    def test_a_wrong_checksum_is_refused(self):
        self.server.files[MNIST[2]] = made_up("another", 50000)
        result = self.fetch()
        self.assertEqual(result.returncode, 3)
        self.assertIn(f"{MNIST[2]}: wrong checksum", result.stderr)
        self.assertFalse((self.dir / MNIST[2]).exists())
        self.assertFalse((self.dir / (MNIST[2] + ".part")).exists())
        self.assertTrue((self.dir / MNIST[3]).exists())  # the others are fetched all the same
        self.assertEqual([name for name, _ in self.server.requests].count(MNIST[2]), 2)

    def test_a_wrong_finished_file_is_replaced(self):
        self.dir.mkdir()
        (self.dir / MNIST[3]).write_bytes(b"not it")
        self.assertEqual(self.fetch().returncode, 0)
        self.assert_complete()

    def test_a_missing_file_is_an_error_that_keeps_what_had_arrived(self):
        data = self.server.files.pop(MNIST[1])
        self.dir.mkdir()
        part = self.dir / (MNIST[1] + ".part")
        part.write_bytes(data[:30000])
        result = self.fetch()
        self.assertEqual(result.returncode, 3)
        self.assertIn(f"{MNIST[1]}: could not be had from {self.url}", result.stderr)
        self.assertEqual(part.read_bytes(), data[:30000])
        self.assertFalse((self.dir / MNIST[1]).exists())

    def test_a_server_that_is_down_is_an_error(self):
        self.server.shutdown()
        self.server.server_close()
        result = self.fetch()
        self.assertEqual(result.returncode, 3)
        self.assertIn("could not be had", result.stderr)
        self.assertEqual(list(self.dir.iterdir()), [])

    def test_the_cifar_archive_is_unpacked(self):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name in ("data_batch_1.bin", "test_batch.bin"):
                entry = tarfile.TarInfo("cifar-10-batches-bin/" + name)
                entry.size = 3073
                tar.addfile(entry, io.BytesIO(bytes(3073)))
        self.server.files = {"cifar-10-binary.tar.gz": archive.getvalue()}
        self.publish()
        result = self.run_tool("cifar10", self.dir, f"--from={self.url}")
        self.assertEqual(result.returncode, 0, result.stderr)
        inner = self.dir / "cifar-10-batches-bin"
        self.assertEqual((inner / "data_batch_1.bin").stat().st_size, 3073)
        self.assertEqual((inner / "test_batch.bin").stat().st_size, 3073)

    def test_wrong_usage_ends_with_2_and_help_with_0(self):
        wrong = [[], ["nist"], ["glyphs"], ["mnist", "a", "b"], ["--fast", "mnist"], ["--from"]]
        for arguments in wrong:
            with self.subTest(arguments=arguments):
                result = self.run_tool(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertIn("expected: tools/fetch-data", result.stderr)
        result = self.run_tool("--help")
        self.assertEqual(result.returncode, 0)
        self.assertIn("NTKLENS_MIRROR", result.stdout)
        self.assertEqual(self.server.requests, [])

    def test_the_published_checksums_are_built_in(self):
        self.sums = ""  # an empty NTKLENS_CHECKSUMS is none
        result = self.fetch()
        self.assertEqual(result.returncode, 3)
        for md5 in ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "ec29112dd5afa0611ce80d1b7f02629c"):
            self.assertIn(md5, result.stderr)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
