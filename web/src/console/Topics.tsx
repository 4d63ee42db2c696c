// SPDX-License-Identifier: Apache-2.0
// Where it is busy, and what is listened to.
import { Empty, PageHead } from '../shared/kit/kit.tsx';
import { usePolled, type TopicsPage } from './data.ts';
import { ago, bytes, count, rate } from './format.ts';
import { Stale, Table } from './parts.tsx';

export function Topics() {
  const { data, trouble } = usePolled<TopicsPage>('/api/v1/admin/topics');
  return (
    <>
      <PageHead title="Topics">{data && !data.whole ? 'The newest 20,000 events of the last minute.' : 'Events of the last minute, the busiest topic first.'}</PageHead>
      <Stale trouble={trouble} />
      {data && (
        <div className="grid gap-5 lg:grid-cols-[3fr_2fr] items-start [&>*]:min-w-0">
          <Table label="Topics" head={['Topic', ['a second', 'right'], ['Events', 'right'], ['Bytes', 'right'], 'Last']}
            empty={<Empty title="A quiet minute">Nothing was published in the last {data.window_s} seconds.</Empty>}>
            {data.topics.map(one => (
              <tr key={one.topic}>
                <td className="font-mono text-[13px]">{one.topic}</td>
                <td className="text-right numbers">{rate(one.events / data.window_s)}</td>
                <td className="text-right numbers">{count(one.events)}</td>
                <td className="text-right numbers">{bytes(one.bytes)}</td>
                <td className="numbers">{ago(one.last)}</td>
              </tr>
            ))}
          </Table>
          <Table label="Patterns" head={['Pattern', ['Subscribers', 'right']]} empty={<Empty title="Nobody listens">Patterns that are subscribed appear here.</Empty>}>
            {data.patterns.map(one => (
              <tr key={one.pattern}><td className="font-mono text-[13px]">{one.pattern}</td><td className="text-right numbers">{count(one.subscribers)}</td></tr>
            ))}
          </Table>
        </div>
      )}
    </>
  );
}
