// SPDX-License-Identifier: Apache-2.0
// The log on disk, and what of it is kept for how long.
import { Badge, Bar, PageHead } from '../shared/kit/kit.tsx';
import { usePolled, type LogState } from './data.ts';
import { bytes, count } from './format.ts';
import { Figure, Figures, Stale, Table } from './parts.tsx';

export function Log() {
  const { data, trouble } = usePolled<LogState>('/api/v1/admin/journal');
  const largest = Math.max(1, ...data?.groups.map(group => group.bytes) ?? []);
  return (
    <>
      <PageHead title="Log">{data && <>Position <code className="font-mono">{data.position}</code>. {data.writable ? '' : <Badge tone="bad">can’t be written</Badge>}</>}</PageHead>
      <Stale trouble={trouble} />
      {data && (
        <>
          <Figures>
            <Figure name="Head" value={count(data.head)} note={data.head === data.durable ? 'all of it on disk' : `${count(data.head - data.durable)} not on disk yet`} />
            <Figure name="Dropped up to" value={count(data.horizon)} note="by retention" />
            <Figure name="On disk" value={bytes(data.bytes)} note={`${count(data.segments)} segments`} />
            <Figure name="State" value={count(data.state_keys)} note={`keys of ${count(data.state_topics)} topics`} />
          </Figures>
          <h2 className="mb-2">Retention groups</h2>
          <Table label="Retention groups" head={['Group', ['Bytes', 'right'], '', ['Dropped up to', 'right']]} empty={null}>
            {data.groups.map(group => (
              <tr key={group.name}>
                <td className="font-medium">{group.name || 'all the rest'}</td>
                <td className="text-right numbers">{bytes(group.bytes)}</td>
                <td className="w-1/2 min-w-32"><Bar value={100 * group.bytes / largest} label={`Bytes of ${group.name || 'the rest'}`} /></td>
                <td className="text-right numbers">{count(group.horizon)}</td>
              </tr>
            ))}
          </Table>
          <p className="text-sm text-faint mt-2">Bytes of sealed segments; what is written now counts when its segment is full. {count(data.idempotency_keys)} idempotency keys are remembered.</p>
        </>
      )}
    </>
  );
}
