// SPDX-License-Identifier: Apache-2.0
// Documents that several people keep at once.
import { useEffect, useState } from 'react';
import { Link, useLocation, useRoute } from 'wouter';
import { useEntityListLive, useTidings } from '@tidings/react';
import { entity } from '@tidings/client/entities';
import { useDesk } from '../../shared/desk.ts';
import { TroubleNote, useAct } from '../../shared/kit/act.tsx';
import { PlusIcon, RowsIcon } from '../../shared/kit/icons.tsx';
import { Badge, Button, Card, Empty, PageHead, type Tone } from '../../shared/kit/kit.tsx';
import { plural } from '../say.ts';
import { RecordDetail } from './RecordDetail.tsx';
import { SAMPLES } from './samples.ts';

export const STATE_TONES: Record<string, Tone> = { open: 'busy', waiting: 'warn', closed: 'good' };
const newId = () => [...crypto.getRandomValues(new Uint8Array(4))].map(byte => byte.toString(16).padStart(2, '0')).join('');

export function Records() {
  const client = useTidings();
  const { person } = useDesk();
  const list = useEntityListLive('records');
  const [, params] = useRoute('/records/:id');
  const [, go] = useLocation();
  const [fresh, setFresh] = useState<string>();
  const fill = useAct();
  const open = params?.id;
  const create = () => { const id = newId(); setFresh(id); go(`/records/${id}`); };
  // Whoever comes back to the list is no more about to make one.
  useEffect(() => { if (!open) setFresh(undefined); }, [open]);
  const samples = () => fill.run(async () => {
    for (const sample of SAMPLES) {
      const made = entity(client, 'records', newId());
      try { await made.put({ ...sample, owner: person.name }, { create: true }); } finally { made.close(); }
    }
  });
  const items = list.items.filter(item => item.data !== undefined);
  return (
    <>
      <PageHead title="Records" aside={<Button look="main" onClick={create}><PlusIcon className="size-4.5" />New record</Button>}>
        What others create, change or delete is here at once; who edits at the same time is told before anything is overwritten.
      </PageHead>
      {list.status === 'denied' && <TroubleNote title="These records are not for you" trouble={{ message: 'Nothing of entities/records is granted to you.', whatToDo: 'Sign in as somebody else, or ask for a grant.' }} />}
      {fill.trouble && <div className="mb-3"><TroubleNote title="The samples could not be stored" trouble={fill.trouble} /></div>}
      {list.status !== 'denied' && (
        <div className={`grid gap-5 items-start ${open ? '@3xl:grid-cols-[minmax(0,22rem)_minmax(0,1fr)]' : ''}`}>
          <Card className={`overflow-hidden ${open ? '@max-3xl:hidden' : ''}`}>
            {items.length === 0 ? (
              <Empty icon={<RowsIcon />} title={list.status === 'loading' ? 'Loading…' : 'No records yet'}>
                {list.status !== 'loading' && <>Make one, or <button type="button" className="underline text-accent" disabled={fill.pending} onClick={() => void samples()}>begin with a few samples</button>.</>}
              </Empty>
            ) : (
              <>
                <p className="px-4 py-2 text-[13px] text-faint border-b border-line numbers" role="status">{plural(items.length, 'record')}</p>
                <ul aria-label="Records">
                  {items.map(({ id, data, version, actor }) => (
                    <li key={id} className="border-b border-line last:border-0" data-record={id}>
                      <Link href={`/records/${id}`} aria-current={id === open ? 'true' : undefined} className="block px-4 py-2.5 hover:bg-sunken aria-[current]:bg-accent-wash">
                        <span className="flex items-center gap-2"><span className="font-medium grow truncate">{data!.title || 'Without a title'}</span>
                          <Badge tone={STATE_TONES[data!.state]}>{data!.state}</Badge></span>
                        <span className="flex text-[13px] text-faint gap-3 numbers"><span className="grow truncate">{data!.owner}</span><span>{data!.amount}</span><span>v{version}{actor ? ` · ${actor}` : ''}</span></span>
                      </Link>
                    </li>
                  ))}
                </ul>
              </>
            )}
          </Card>
          {open && <RecordDetail key={open} id={open} isNew={fresh === open} onSaved={() => setFresh(undefined)} />}
        </div>
      )}
    </>
  );
}
