"""Streams and consumers, provisioned by one command from the contracts and the entry points.

`python -m perennial.common.streams apply` creates or updates; `plan` prints what would be applied, for a place
where not every service is installed: `apply --plan FILE`.
"""

import argparse
import asyncio
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from perennial.common import service as services
from perennial.common.contracts import gateway as gateway_contract
from perennial.common.contracts.identity import RESOLVED_STREAM, RESOLVED_SUBJECT
from perennial.common.messaging.consumer import ACK_WAIT_SECONDS
from perennial.common.messaging.worker import CONSUMERS, fact_subjects, hears_events, hot_durable, hot_subjects
from perennial.common.runtime import connect_nats
from perennial.common.service import Service

log = structlog.get_logger()

MIB = 1024 * 1024
SIZES = {gateway_contract.STREAM: 256 * MIB, RESOLVED_STREAM: 1024 * MIB}
FACT_BYTES = 256 * MIB
HOT_ACK_PENDING, FACT_ACK_PENDING = 256, 2048


@dataclass(frozen=True)
class Plan:
    """What must exist on the broker."""

    streams: dict[str, StreamConfig]
    consumers: dict[str, list[ConsumerConfig]]


def size_of(stream: str) -> int:
    """Bytes a stream may hold; `PERENNIAL_STREAM_BYTES_<STREAM>` overrides."""
    return int(os.environ.get(f"PERENNIAL_STREAM_BYTES_{stream}", SIZES.get(stream, FACT_BYTES)))


def _stream(
    name: str, subjects: list[str], retention: RetentionPolicy, replicas: int, *, batches: bool = False
) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=subjects,
        retention=retention,
        discard=DiscardPolicy.NEW,
        max_bytes=size_of(name),
        storage=StorageType.FILE,
        num_replicas=replicas,
        duplicate_window=120,
        allow_direct=True,
        allow_atomic=batches or None,
    )


def _consumer(durable: str, subjects: list[str], ack_pending: int) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=durable,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_SECONDS,
        max_deliver=-1,
        max_ack_pending=ack_pending,
        filter_subject=subjects[0] if len(subjects) == 1 else None,
        filter_subjects=subjects if len(subjects) > 1 else None,
    )


def plan(found: list[Service], replicas: int = 1) -> Plan:
    """The streams and consumers that these services need."""
    ingest = gateway_contract.STREAM
    streams = {
        ingest: _stream(ingest, [gateway_contract.SUBJECT], RetentionPolicy.WORK_QUEUE, replicas),
        RESOLVED_STREAM: _stream(RESOLVED_STREAM, [f"{RESOLVED_SUBJECT}.*"], RetentionPolicy.LIMITS, replicas),
    }
    for service in found:
        nouns = sorted({event.noun() for event in service.emits})
        if nouns:
            subjects = [f"{service.name}.{noun}.>" for noun in nouns]
            streams[service.stream] = _stream(service.stream, subjects, RetentionPolicy.LIMITS, replicas, batches=True)
    consumers: dict[str, list[ConsumerConfig]] = {name: [] for name in streams}
    consumers[ingest].append(_consumer("identity", [gateway_contract.SUBJECT], 256))
    for service in found:
        if hears_events(service):
            consumers[RESOLVED_STREAM] += [
                _consumer(hot_durable(service.name, number), hot_subjects(number), HOT_ACK_PENDING)
                for number in range(CONSUMERS)
            ]
        for stream, subjects in fact_subjects(service).items():
            if stream in streams:
                consumers[stream].append(_consumer(service.name, subjects, FACT_ACK_PENDING))
    return Plan(streams, consumers)


def write_plan(wanted: Plan) -> str:
    """The plan as JSON, in the broker's own words."""
    streams = {name: config.as_dict() for name, config in wanted.streams.items()}
    consumers = {name: [config.as_dict() for config in configs] for name, configs in wanted.consumers.items()}
    return json.dumps({"streams": streams, "consumers": consumers}, indent=1) + "\n"


def read_plan(written: str, replicas: int = 1) -> Plan:
    """The plan again; sizes and replicas are this deployment's."""
    read = json.loads(written)
    streams = {name: StreamConfig.from_response(config) for name, config in read["streams"].items()}
    return Plan(
        {name: replace(config, max_bytes=size_of(name), num_replicas=replicas) for name, config in streams.items()},
        {name: [ConsumerConfig.from_response(item) for item in found] for name, found in read["consumers"].items()},
    )


async def apply(js: JetStreamContext, wanted: Plan, *, force: bool = False) -> None:
    """Bring the broker to the plan: streams are created or updated, never deleted; consumers nobody needs go.

    A consumer that has something unread stays, unless forced: a build without its service must not cost its position.
    """
    for name, config in wanted.streams.items():
        try:
            await js.stream_info(name)
        except NotFoundError:
            await js.add_stream(config)
            log.info("stream.created", stream=name)
        else:
            await js.update_stream(config)
        existing = {info.name for info in await js.consumers_info(name)}
        for consumer in wanted.consumers[name]:
            await js.add_consumer(name, consumer)
        for stale in existing - {consumer.durable_name for consumer in wanted.consumers[name]}:
            info = await js.consumer_info(name, stale)
            if (info.num_pending or info.num_ack_pending) and not force:
                log.error("consumer.kept", stream=name, consumer=stale, unread=info.num_pending)
                continue
            await js.delete_consumer(name, stale)
            log.warning("consumer.deleted", stream=name, consumer=stale)


async def _main(wanted: Plan, *, force: bool) -> None:
    client = await connect_nats(os.environ["PERENNIAL_NATS_URL"], "streams")
    try:
        await apply(client.jetstream(timeout=10), wanted, force=force)
    finally:
        await client.close()


def _installed(replicas: int) -> Plan:
    return plan([services.load(name) for name in services.names()], replicas)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Provision streams and consumers.")
    parser.add_argument("command", choices=["apply", "plan"])
    parser.add_argument("--replicas", type=int, default=int(os.environ.get("PERENNIAL_STREAM_REPLICAS", "1")))
    parser.add_argument("--plan", type=Path, help="apply what `plan` has written; default: what the installed need")
    parser.add_argument(
        "--force", action="store_true", help="delete consumers of services that are gone, unread or not"
    )
    arguments = parser.parse_args()
    if arguments.command == "plan":
        sys.stdout.write(write_plan(_installed(1)))
    elif arguments.plan is not None:
        asyncio.run(_main(read_plan(arguments.plan.read_text(), arguments.replicas), force=arguments.force))
    else:
        asyncio.run(_main(_installed(arguments.replicas), force=arguments.force))
