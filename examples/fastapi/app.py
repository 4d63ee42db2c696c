# SPDX-License-Identifier: Apache-2.0
"""A backend that keeps records of its own, tells what changes, and works on reports that people watch."""
from typing import Any

from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import JSONResponse

from tidings import AsyncJobWorker, AsyncTidings, TidingsError

tidings = AsyncTidings()  # TIDINGS_URL, TIDINGS_TOKEN
records: dict[str, dict[str, Any]] = {}
app = FastAPI(title="Records", on_shutdown=[tidings.close])


@app.put("/records/{record_id}")
async def update(record_id: str, record: dict[str, Any]) -> dict[str, Any]:
    """Whoever follows entities/records/* sees the change before this is answered."""
    change = "ENTITY_UPDATED" if record_id in records else "ENTITY_CREATED"
    published = await tidings.publish(f"entities/records/{record_id}", change, {"payload": record})
    records[record_id] = record
    return {"id": record_id, "event_id": published.id}


@app.post("/reports", status_code=202)
async def start_report(background: BackgroundTasks) -> dict[str, str]:
    """Answers with the job, which is watched on /ws/job/{job_id}, and works on it afterwards."""
    job = await tidings.job("report").start()
    background.add_task(write_report, job)
    return {"job_id": job.id}


async def write_report(job: AsyncJobWorker) -> None:
    async with job:  # an exception fails the job, a cancel ends it, and nothing else has to be told
        for n, (record_id, record) in enumerate(sorted(records.items()), 1):
            job.check()
            await job.partial(f"{record_id}: {record.get('title', 'without a title')}\n")
            await job.progress(100 * n / len(records), f"record {record_id}")
        job.complete({"records": len(records)})


@app.exception_handler(TidingsError)
async def not_told(_: Request, error: TidingsError) -> JSONResponse:
    """It was tried again for a while; the record is as it was, and the caller may repeat the request."""
    return JSONResponse({"code": error.code, "detail": error.detail, "what_to_do": error.what_to_do}, status_code=503)
