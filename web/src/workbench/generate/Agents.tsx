// SPDX-License-Identifier: Apache-2.0
import { CheckIcon, CrossIcon, WaitIcon } from '../../shared/kit/icons.tsx';
import { Bar, Card } from '../../shared/kit/kit.tsx';
import { seconds } from '../say.ts';
import type { Agent } from './generation.ts';

const LOOK = {
  waiting: { word: 'waiting', colour: 'text-faint', tone: 'soft' }, started: { word: 'at work', colour: 'text-accent', tone: 'accent' },
  completed: { word: 'done', colour: 'text-good', tone: 'good' }, failed: { word: 'failed', colour: 'text-bad', tone: 'bad' },
  cancelled: { word: 'stopped', colour: 'text-warn', tone: 'soft' },
} as const;

export function Agents({ agents, idle }: { agents: readonly Agent[]; idle: boolean }) {
  return (
    <Card className={`p-4 ${idle ? 'opacity-75' : ''}`}>
      <h2 className="mb-3">Agents</h2>
      <ul className="grid @lg:grid-cols-2 gap-x-8 gap-y-3" aria-label="Agents">
        {agents.map(agent => {
          const { word, colour, tone } = LOOK[agent.status] ?? LOOK.waiting;
          return (
            <li key={agent.name} data-agent={agent.name} data-status={agent.status}>
              <div className="flex items-center gap-2 text-sm mb-1">
                <span className={colour}>{agent.status === 'completed' ? <CheckIcon className="size-4" /> : agent.status === 'failed' || agent.status === 'cancelled' ? <CrossIcon className="size-4" /> : <WaitIcon className="size-4" />}</span>
                <span className="font-medium grow">{agent.name}</span>
                <span className={`numbers text-[13px] ${colour}`}>{agent.duration !== undefined && agent.status === 'completed' ? seconds(agent.duration) : word}</span>
              </div>
              <Bar value={agent.status === 'failed' ? 100 : agent.progress} label={`${agent.name}, ${word}`} tone={tone} />
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
