"""Our side: the real server on a folder of its own, driven through the API as any client would."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from support.export import split_path
from support.server import Server
from support.workshop import Workshop, unique

from bench.measure import Sample

JOB_S = 7200
# A wait is polled at a hundredth of the time it has taken so far: neither the answer's time nor the CPU suffers.
POLL_MIN_S, POLL_MAX_S = 0.002, 0.1
# Put records move from the log into runs soon, so that an export after puts reads runs.
SERVER_ARGUMENTS = ("--flush-after-s", "2")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Place:
    """A dataset on the server, and the location of the uploaded CSV that it is imported from."""

    dataset: str
    location: str
    tracking_id: str


class Ours:
    """One server on an empty folder; `close` ends it and removes the folder."""

    def __init__(self, folder):
        shutil.rmtree(folder, ignore_errors=True)
        self.server = Server(folder, arguments=SERVER_ARGUMENTS).start()
        self.workshop = Workshop(self.server.endpoint)
        self.places = {}
        self.imported = set()

    def close(self):
        self.server.kill()
        shutil.rmtree(self.server.folder, ignore_errors=True)

    def restart(self):
        """The same folder in a fresh process, whose memory has seen no job."""
        self.server.stop(wait_s=120)
        self.server.start()
        self.workshop = self.workshop.at(self.server.endpoint)

    def place(self, data):
        """Makes a dataset for this data and uploads its file, once."""
        if data.path not in self.places:
            kind = data.dataset_type.lower()
            group = self.workshop.make_group(**{kind: data.fields}, tracker=kind == "interactions")
            key = f"{data.path.stem}/data.csv"
            self.workshop.s3.upload_file(str(data.path), self.workshop.source, key)
            location = f"s3://{self.workshop.source}/{key}"
            self.places[data.path] = Place(getattr(group, kind), location, group.tracking_id)
        return self.places[data.path]

    def import_full(self, data):
        """From the creation of a FULL import job to ACTIVE."""
        place = self.place(data)
        personalize = self.workshop.personalize
        describe = lambda arn: personalize.describe_dataset_import_job(datasetImportJobArn=arn)["datasetImportJob"]
        sample, _ = self._job(lambda: self.workshop.start_import(place.dataset, place.location), describe)
        self.imported.add(data.path)
        return sample

    def holding(self, data):
        """Imports this data, unless that was done."""
        if data.path not in self.imported:
            self.import_full(data)

    def export(self, data, mode):
        """`export_of` the dataset that holds this data."""
        return self.export_of(self.place(data), mode)

    def export_of(self, place, mode="BULK"):
        """From the creation of an export job to ACTIVE; the sample and the job."""
        personalize = self.workshop.personalize
        describe = lambda arn: personalize.describe_dataset_export_job(datasetExportJobArn=arn)["datasetExportJob"]
        return self._job(lambda: self.workshop.start_export(place.dataset, mode), describe)

    def objects(self, job):
        """Bucket, folder and keys of an export."""
        bucket, prefix = split_path(job["jobOutput"]["s3DataDestination"]["path"])
        folder = f"{prefix}{job['jobName']}/"
        pages = self.workshop.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
        return bucket, folder, [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def drop(self, job):
        """Deletes an export's objects: a round leaves nothing on the disk for the next one."""
        bucket, _, keys = self.objects(job)
        for key in keys:
            self.workshop.s3.delete_object(Bucket=bucket, Key=key)

    def rss_mib(self):
        pages = int(Path(f"/proc/{self.server.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def bytes_of_runs(self):
        return sum(file.stat().st_size for file in (self.server.data_dir / "runs").rglob("*") if file.is_file())

    def wait_until_flushed(self):
        """Until the runs have not changed for as long as put records may stay in the log."""
        seen, since = None, time.monotonic()
        while time.monotonic() - since < 5:
            if (found := self.bytes_of_runs()) != seen:
                seen, since = found, time.monotonic()
            time.sleep(0.25)

    def _job(self, create, describe):
        self.server.forget_peak()
        cpu, begin = self._cpu_s(), time.perf_counter()
        arn = create()
        while (job := describe(arn))["status"] not in ("ACTIVE", "CREATE FAILED"):
            elapsed = time.perf_counter() - begin
            if elapsed > JOB_S:
                raise RuntimeError(f"not ended after {JOB_S} s: {job}")
            time.sleep(min(max(elapsed / 100, POLL_MIN_S), POLL_MAX_S))
        sample = Sample(time.perf_counter() - begin, self._cpu_s() - cpu, self.server.peak_rss_mib())
        if job["status"] != "ACTIVE":
            raise RuntimeError(f"the job failed: {job}\n{self.server.tail()}")
        return sample, job

    def _cpu_s(self):
        after_name = Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / TICKS_PER_S


def small_place(ours, rows):
    """A dataset of few events, imported."""
    text = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "".join(f"u{n},i{n},click,{n}\n" for n in range(rows))
    group = ours.workshop.make_group(interactions="USER_ID:string ITEM_ID:string EVENT_TYPE:string TIMESTAMP:long")
    ours.workshop.import_csv(group.interactions, text)
    return Place(group.interactions, unique("none"), None)
