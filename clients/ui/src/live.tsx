// SPDX-License-Identifier: Apache-2.0
// The components as one uses them below a <TidingsProvider>: told what to show, they follow it.  Given the state itself instead, they
// follow nothing, and need no provider.
import type { EntityChange, EntityType, RegisteredSchema } from '@tidings/client';
import { useChanges, useConnection, useJob, useLog, usePresence, useTidings, useTokenStream, useWebSocket, type EditUse, type JobCallbacks,
  type StreamSource } from '@tidings/react';
import { useEffect, useState, type ReactNode } from 'react';
import { ConflictBannerView, type ConflictBannerViewProps, type ConflictField } from './ConflictBanner.tsx';
import { ConnectionIndicatorView, type ConnectionIndicatorViewProps } from './ConnectionIndicator.tsx';
import { JobProgressView, type JobProgressViewProps } from './JobProgress.tsx';
import { LiveUpdateToastsView, type LiveUpdateToastsViewProps } from './LiveUpdateToasts.tsx';
import { LogViewView, type LogViewViewProps } from './LogView.tsx';
import { PresenceStackView, type PresenceStackViewProps } from './PresenceStack.tsx';
import { STALE_LABELS, StaleNoticeView, type StaleNoticeViewProps } from './StaleNotice.tsx';
import { TokenTextView, type TokenTextViewProps } from './TokenText.tsx';
import { liveUpdates, type LiveUpdateOptions } from './updates.ts';

// A component is given its state, or where to find it, for all its life.
type Given<Props, Source> = Props & { [key in keyof Source]?: undefined };
type Found<Props, State extends keyof Props, Source> = Omit<Props, State> & { [key in State]?: undefined } & Source;
type Known = EntityType<RegisteredSchema>;

// ---- connection -----------------------------------------------------------------------------------------------------------------

export type ConnectionIndicatorProps = ConnectionIndicatorViewProps | Found<ConnectionIndicatorViewProps, 'state', object>;

/** Of the provider's client, unless `state` is given. "Try now" connects at once, with a new token where the last one was refused. */
export function ConnectionIndicator(props: ConnectionIndicatorProps) {
  return props.state ? <ConnectionIndicatorView {...props} state={props.state} /> : <LiveConnection {...props} />;
}

function LiveConnection(props: Found<ConnectionIndicatorViewProps, 'state', object>) {
  const client = useTidings();
  const { reconnect } = useWebSocket();
  return <ConnectionIndicatorView onRetry={reconnect} now={() => client.clock.now()} read={() => client.state} {...props} state={useConnection()} />;
}

// ---- jobs -----------------------------------------------------------------------------------------------------------------------

interface JobSource<R> extends JobCallbacks<R> {
  /** The job to follow; null: none, and nothing is shown. */
  id: string | null;
}

export type JobProgressProps<R = unknown> = Given<JobProgressViewProps<R>, JobSource<R>> | Found<JobProgressViewProps<R>, 'state', JobSource<R>>;

/** Of the job `id`, with a button to cancel it, unless `state` is given. */
export function JobProgress<R = unknown>(props: JobProgressProps<R>) {
  return props.state ? <JobProgressView<R> {...props} state={props.state} /> : <LiveJob<R> {...props} />;
}

function LiveJob<R>({ id, onDone, onFail, ...rest }: Found<JobProgressViewProps<R>, 'state', JobSource<R>>) {
  const job = useJob<R>(id, { onDone, onFail });
  if (id === null) return null;
  // Whether it could be cancelled shows as its status; that the request did not get there, as the connection's.
  return <JobProgressView<R> onCancel={() => void job.cancel().catch(() => undefined)} {...rest} state={job} />;
}

interface LogSource {
  /** The job whose log is shown; null: none yet. */
  jobId: string | null;
  /** So many lines are kept, the newest. 2000. */
  window?: number;
}

export type LogViewProps = Given<LogViewViewProps, LogSource> | Found<LogViewViewProps, 'lines', LogSource>;

/** What the job `jobId` writes, unless `lines` are given. */
export function LogView(props: LogViewProps) {
  return props.lines ? <LogViewView {...props} lines={props.lines} /> : <LiveLog {...props} />;
}

function LiveLog({ jobId, window, onFollow, ...rest }: Found<LogViewViewProps, 'lines', LogSource>) {
  const { lines, total, setFollow } = useLog(jobId, { window });
  const followed = (follow: boolean): void => {
    setFollow(follow);
    onFollow?.(follow);
  };
  return <LogViewView {...rest} lines={lines} dropped={total - lines.length} onFollow={followed} />;
}

// ---- texts ----------------------------------------------------------------------------------------------------------------------

interface TextSource {
  /** Where the text is told; null: nowhere, and nothing is shown. */
  source: StreamSource | null;
}

export type TokenTextProps = Given<TokenTextViewProps, TextSource> | Found<TokenTextViewProps, 'text' | 'status', TextSource>;

/** The text of `source`, with a button to stop it, unless `text` and `status` are given. */
export function TokenText(props: TokenTextProps) {
  return props.status ? <TokenTextView {...props} text={props.text} status={props.status} /> : <LiveText {...props} />;
}

function LiveText({ source, ...rest }: Found<TokenTextViewProps, 'text' | 'status', TextSource>) {
  const { text, status, error, cancel } = useTokenStream(source);
  if (status === 'idle') return null;
  return <TokenTextView onStop={() => void cancel().catch(() => undefined)} error={error} {...rest} text={text} status={status} />;
}

// ---- changes --------------------------------------------------------------------------------------------------------------------

interface UpdateSource extends LiveUpdateOptions {
  /** Only of these types of entities. All that one may see. */
  types?: readonly Known[];
  /** Only what it says yes to: changes of what is on this page, for instance. */
  filter?: (change: EntityChange) => boolean;
}

export type LiveUpdateToastsProps = Given<LiveUpdateToastsViewProps, UpdateSource> | Found<LiveUpdateToastsViewProps, 'queue', UpdateSource>;

/** What others change, as notes, unless a `queue` is given. Once on a page; its options are those of the first render. */
export function LiveUpdateToasts(props: LiveUpdateToastsProps) {
  return props.queue ? <LiveUpdateToastsView {...props} queue={props.queue} /> : <LiveToasts {...props} />;
}

function LiveToasts(props: Found<LiveUpdateToastsViewProps, 'queue', UpdateSource>) {
  const { types, filter, duration, group, max, ignoreOwn, clock, ...rest } = props;
  const [queue] = useState(() => liveUpdates({ duration, group, max, ignoreOwn, clock }));
  const client = useTidings();
  useChanges<Known>(change => {
    // A backend that writes for the user names him, and so does another tab of his: he is no "another user".
    const own = change.own || (change.actor !== undefined && change.actor === client.user);
    if (!filter || filter(change)) queue.push({ ...change, own });
  }, { types: types as readonly Known[] | undefined, own: ignoreOwn === false });
  return <LiveUpdateToastsView {...rest} queue={queue} />;
}

interface StaleSource {
  /** Shown once an entity of these types was changed, other than by this page, until it is refreshed. */
  types: readonly Known[];
  filter?: (change: EntityChange) => boolean;
}

export type StaleNoticeProps = Given<StaleNoticeViewProps, StaleSource> | (StaleNoticeViewProps & StaleSource);

/** Always there; or with `types`, once some of them were changed elsewhere. */
export function StaleNotice(props: StaleNoticeProps) {
  return props.types ? <LiveStale {...props} types={props.types} /> : <StaleNoticeView {...props} />;
}

const MANY = 1000;

function LiveStale({ types, filter, onRefresh, children, ...rest }: StaleNoticeViewProps & StaleSource) {
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  useChanges<Known>(change => {
    if (!filter || filter(change)) setIds(before => (before.has(change.id) || before.size >= MANY ? before : new Set(before).add(change.id)));
  }, { types: types as readonly Known[] });
  if (ids.size === 0) return null;
  const refresh = (): void => {
    setIds(new Set());
    onRefresh?.();
  };
  const say = { ...STALE_LABELS, ...rest.labels };
  return <StaleNoticeView {...rest} onRefresh={onRefresh && refresh}>{children ?? say.changed(ids.size)}</StaleNoticeView>;
}

// ---- editing --------------------------------------------------------------------------------------------------------------------

interface EditSource<D> {
  /** What useEdit() returned. */
  edit: EditUse<D>;
  /** The fields' names as people know them. */
  names?: { readonly [F in keyof D]?: string };
}

export type ConflictBannerProps<D = unknown> = Given<ConflictBannerViewProps, EditSource<D>> | Found<ConflictBannerViewProps, 'conflict' | 'by' | 'fields' | 'dirty', EditSource<D>>;

/** Of what useEdit() returned, whose ways out its buttons take; or of a `conflict` that is given. */
export function ConflictBanner<D = unknown>(props: ConflictBannerProps<D>) {
  return props.edit ? <LiveConflict<D> {...props} edit={props.edit} /> : <ConflictBannerView {...props} conflict={props.conflict} />;
}

type Kept = Pick<ConflictBannerViewProps, 'conflict' | 'by' | 'fields'>;

const member = (document: unknown, name: string): unknown => (name === '' ? document : (document as Record<string, unknown> | undefined)?.[name]);

function LiveConflict<D>(props: Found<ConflictBannerViewProps, 'conflict' | 'by' | 'fields' | 'dirty', EditSource<D>>) {
  const { edit, names, onRefresh, onContinue, onMerge, ...rest } = props;
  const { conflict, dirty, remote } = edit;
  // What one has decided to overwrite is said until it is saved, or dropped.
  const [kept, setKept] = useState<Kept>();
  const over = kept !== undefined && !dirty;
  useEffect(() => { if (over) setKept(undefined); }, [over]);
  if (conflict === 'none') return kept && dirty ? <ConflictBannerView {...rest} {...kept} /> : null;
  const differing = (conflict === 'same-fields' ? remote?.both : remote?.fields) ?? [];
  const fields = differing.map((name): ConflictField => ({
    name, label: names?.[name as keyof D], base: member(edit.base, name), mine: member(edit.draft, name), theirs: member(remote?.data, name),
  }));
  const now: Kept = { conflict, by: remote?.by, fields };
  return (
    <ConflictBannerView {...rest} {...now} dirty={dirty}
      onRefresh={() => { edit.takeTheirs(); onRefresh?.(); }}
      onContinue={() => { setKept(now); edit.keepMine(); onContinue?.(); }}
      onMerge={picked => {
        edit.merge((field, values) => (Object.hasOwn(picked, field) ? picked[field] : values.mine));
        onMerge?.(picked);
      }} />
  );
}

// ---- presence -------------------------------------------------------------------------------------------------------------------

interface PresenceSource {
  /** Who follows this topic; null: of none, and nothing is shown. */
  topic: string | null;
  /** The name of a subject. */
  name?: (user: string) => string;
  image?: (user: string) => string | undefined;
  /** Shown before the first answer. */
  loading?: ReactNode;
}

export type PresenceStackProps = Given<PresenceStackViewProps, PresenceSource> | Found<PresenceStackViewProps, 'users', PresenceSource>;

/** Who follows `topic`, oneself last, unless `users` are given. */
export function PresenceStack(props: PresenceStackProps) {
  return props.users ? <PresenceStackView {...props} users={props.users} /> : <LivePresence {...props} />;
}

function LivePresence({ topic, name, image, loading = null, ...rest }: Found<PresenceStackViewProps, 'users', PresenceSource>) {
  const { users, status } = usePresence(topic);
  const client = useTidings();
  if (topic === null || status === 'idle' || status === 'denied') return null;
  if (status === 'loading' && users.length === 0) return loading;
  const people = users.map(({ user }) => ({ user, name: name?.(user), image: image?.(user) }));
  return <PresenceStackView self={client.user ?? undefined} {...rest} users={people} />;
}
