// SPDX-License-Identifier: Apache-2.0
// How the server is: a few figures, and how they went over the last minutes.
import { PageHead } from '../shared/kit/kit.tsx';
import { Chart, type Line } from './Chart.tsx';
import { quantile, sum, useReadings, type Metrics, type Reading } from './data.ts';
import { bytes, count, percent, rate, span } from './format.ts';
import { Figure, Figures, Stale } from './parts.tsx';

const LIVE = ['websocket', 'sse', 'longpoll'] as const;

/** How fast a counter grows, a second, from reading to reading. A server that began anew counts from 0. */
function rates(readings: readonly Reading[], of: (metrics: Metrics) => number): (number | null)[] {
  return readings.map((reading, i) => {
    const before = readings[i - 1];
    return before ? Math.max(0, of(reading.metrics) - of(before.metrics)) / Math.max(0.001, reading.time - before.time) : null;
  });
}

const quantiles = (readings: readonly Reading[], name: string, q: number) =>
  readings.map((reading, i) => (i === 0 ? null : quantile(readings[i - 1]!.metrics, reading.metrics, name, q) ?? null));

const line = (name: string, colour: Line['colour'], values: Line['values']): Line => ({ name, colour, values });

export function Overview() {
  const { readings, trouble } = useReadings();
  const now = readings.at(-1);
  if (!now) return <><PageHead title="Overview" /><Stale trouble={trouble} /><p className="text-faint" role="status">Reading the metrics…</p></>;
  const of = (name: string, having?: string) => sum(now.metrics, name, having);
  const times = readings.map(reading => reading.time);
  const gauge = (name: string, having?: string) => readings.map(reading => sum(reading.metrics, name, having));
  const counter = (name: string) => rates(readings, metrics => sum(metrics, name));
  const broken = of('tidings_expect_failures_total'), writable = of('tidings_log_writable') === 1;
  const version = [...now.metrics.keys()].map(key => /^tidings_build_info\{.*version="([^"]+)"/.exec(key)?.[1]).find(Boolean);
  return (
    <>
      <PageHead title="Overview">
        Version {version ?? '?'}, running for {span(now.time - of('process_start_time_seconds'))}.
        {broken > 0 && ` ${broken} broken expectations inside: please report them, with the log.`}
      </PageHead>
      <Stale trouble={trouble} />
      <Figures>
        <Figure name="Readers" value={count(LIVE.reduce((all, name) => all + of('tidings_connections', `"${name}"`), 0))}
          note={LIVE.map(name => `${count(of('tidings_connections', `"${name}"`))} ${name}`).join(', ')} />
        <Figure name="Log" value={writable ? bytes(of('tidings_log_bytes')) : 'not writable'} tone={writable ? undefined : 'bad'}
          note={`${count(of('tidings_log_head') - of('tidings_log_horizon'))} positions in ${count(of('tidings_log_segments'))} segments`} />
        <Figure name="Jobs" value={count(of('tidings_jobs_running'))} note={`${count(of('tidings_jobs_queued'))} queued`} />
        <Figure name="Memory" value={bytes(of('process_resident_memory_bytes'))} note={`${bytes(of('tidings_outbox_bytes'))} wait for sockets`} />
      </Figures>
      <div className="grid gap-4 lg:grid-cols-2 [&>*]:min-w-0">
        <Chart title="Events a second" times={times} show={rate} lines={[
          line('published', 'good', counter('tidings_log_appended_total')), line('delivered', 'accent', counter('tidings_events_delivered_total'))]} />
        <Chart title="Readers" times={times} show={count} whole lines={LIVE.map((name, i) =>
          line(name, (['accent', 'good', 'warn'] as const)[i]!, gauge('tidings_connections', `"${name}"`)))} />
        <Chart title="Delivery" times={times} show={span} lines={[
          line('half within', 'accent', quantiles(readings, 'tidings_delivery_seconds', 0.5)),
          line('99 % within', 'warn', quantiles(readings, 'tidings_delivery_seconds', 0.99))]} />
        <Chart title="Sync of the log" times={times} show={span} lines={[
          line('half within', 'accent', quantiles(readings, 'tidings_log_sync_seconds', 0.5)),
          line('99 % within', 'warn', quantiles(readings, 'tidings_log_sync_seconds', 0.99))]} />
        <Chart title="Processor" times={times} show={percent} lines={[line('cores in use', 'accent', counter('process_cpu_seconds_total'))]} />
        <Chart title="Refusals a second" times={times} show={rate} lines={[
          line('limits', 'warn', counter('tidings_limited_total')), line('HTTP errors', 'bad', counter('tidings_http_errors_total')),
          line('gaps', 'accent', counter('tidings_gaps_total'))]} />
      </div>
    </>
  );
}
