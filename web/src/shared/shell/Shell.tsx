// SPDX-License-Identifier: Apache-2.0
// What stands around every screen: where one is, who one is, how the connection is, and the drawer.
import { useEffect, useRef, useState, type ComponentType, type ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { CloseIcon, HalfIcon, MoonIcon, SunIcon, ToolIcon } from '../kit/icons.tsx';
import { Button } from '../kit/kit.tsx';
import { signOut, type Person } from '../session.ts';
import { setTheme, useTheme } from '../theme.ts';
import { Face, Mark } from './SignIn.tsx';

export interface Screen { path: string; name: string; icon: ComponentType<{ className?: string }> }

interface Props {
  what: string;
  person: Person;
  screens: readonly Screen[];
  /** How the connection is. */
  indicator?: ReactNode;
  /** What the button of the drawer says, and whether something in there is on. */
  drawer?: { title: string; warning?: string; content: ReactNode };
  children: ReactNode;
}

export function Shell({ what, person, screens, indicator, drawer, children }: Props) {
  const [open, setOpen] = useState(() => sessionStorage.getItem('tidings.drawer') === '1');
  const [path] = useLocation();
  const main = useRef<HTMLElement>(null);
  const here = screens.find(screen => path.startsWith(screen.path));
  useEffect(() => { sessionStorage.setItem('tidings.drawer', open ? '1' : '0'); }, [open]);
  useEffect(() => { document.title = here ? `${here.name} · Tidings` : 'Tidings'; }, [here]);
  return (
    <div data-drawer={open ? 'open' : undefined} className={`min-h-dvh lg:pl-48 ${open ? 'xl:pr-96' : ''}`}>
      <a href="#main" onClick={event => { event.preventDefault(); main.current?.focus(); }}
        className="sr-only focus:not-sr-only focus:fixed focus:z-50 focus:top-2 focus:left-2 focus:bg-surface focus:px-3 focus:py-2">Skip to the content</a>
      <header className="sticky top-0 z-20 h-14 flex items-center gap-2 sm:gap-3 px-3 sm:px-6 bg-page/90 backdrop-blur border-b border-line">
        <span className="lg:hidden"><Mark /></span>
        <span className="hidden sm:inline lg:hidden font-semibold">Tidings <span className="text-faint font-normal">{what}</span></span>
        <div className="grow min-w-0 flex justify-start lg:pl-0">{indicator}</div>
        {drawer && (
          <Button look={drawer.warning ? 'danger' : 'quiet'} aria-expanded={open} aria-controls="drawer" onClick={() => setOpen(!open)} small>
            <ToolIcon className="size-4.5" /><span className={drawer.warning ? 'whitespace-nowrap' : 'max-sm:sr-only'}>{drawer.warning ?? drawer.title}</span>
          </Button>
        )}
        <ThemeButton />
        <Who person={person} />
      </header>
      <nav aria-label="Screens" className="fixed z-30 max-lg:inset-x-0 max-lg:bottom-0 max-lg:pb-[env(safe-area-inset-bottom)] bg-surface border-line
        max-lg:border-t lg:inset-y-0 lg:left-0 lg:w-48 lg:border-r lg:px-3 lg:py-3.5">
        <p className="max-lg:hidden flex items-center gap-2.5 font-semibold px-2 mb-5"><Mark /> <span>Tidings <span className="block text-xs text-faint font-normal -mt-1">{what}</span></span></p>
        <ul className="flex lg:flex-col gap-0.5 justify-around">
          {screens.map(screen => (
            <li key={screen.path} className="max-lg:grow max-lg:basis-0">
              <Link href={screen.path} aria-current={here === screen ? 'page' : undefined}
                className="flex max-lg:flex-col items-center gap-0.5 lg:gap-2.5 px-0.5 lg:px-2.5 py-1.5 max-lg:text-[11px] rounded-lg font-medium text-soft hover:bg-sunken
                  aria-[current]:text-accent lg:aria-[current]:bg-accent-wash">
                <screen.icon />{screen.name}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <main ref={main} id="main" tabIndex={-1} className="px-4 sm:px-6 pt-5 pb-28 lg:pb-12 max-w-6xl mx-auto outline-none"><div className="@container">{children}</div></main>
      {drawer && open && <Drawer title={drawer.title} onClose={() => setOpen(false)}>{drawer.content}</Drawer>}
    </div>
  );
}

function Drawer({ title, onClose, children }: { title: string; onClose: () => void; children: ReactNode }) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => { box.current?.querySelector<HTMLElement>('button')?.focus({ preventScroll: true }); }, []);
  return (
    <aside ref={box} id="drawer" aria-label={title} onKeyDown={event => { if (event.key === 'Escape') onClose(); }}
      className="fixed z-40 right-0 inset-y-0 w-96 max-w-full bg-surface border-l border-line flex flex-col max-xl:shadow-2xl">
      <div className="flex items-center h-14 px-4 border-b border-line shrink-0">
        <h2 className="grow">{title}</h2>
        <Button look="quiet" small aria-label="Close the drawer" onClick={onClose}><CloseIcon /></Button>
      </div>
      <div className="grow min-h-0 flex flex-col overflow-y-auto">{children}</div>
    </aside>
  );
}

const NEXT = { system: 'light', light: 'dark', dark: 'system' } as const;

function ThemeButton() {
  const theme = useTheme();
  const Icon = { system: HalfIcon, light: SunIcon, dark: MoonIcon }[theme];
  return <Button look="quiet" small title={`Colours: ${theme}`} aria-label={`Colours: ${theme}. Change to ${NEXT[theme]}`} onClick={() => setTheme(NEXT[theme])}><Icon /></Button>;
}

function Who({ person }: { person: Person }) {
  return (
    <details className="relative group" onBlur={event => { if (!event.currentTarget.contains(event.relatedTarget)) event.currentTarget.open = false; }}
      onKeyDown={event => { if (event.key === 'Escape') event.currentTarget.open = false; }}>
      <summary className="list-none flex items-center gap-2 rounded-full p-0.5 pr-0.5 sm:pr-2.5 hover:bg-sunken" aria-label={`Signed in as ${person.name}`}>
        <Face person={person} small /><span className="max-sm:hidden font-medium">{person.name}</span>
      </summary>
      <div className="card absolute right-0 mt-2 w-64 p-3.5 z-50">
        <p className="font-semibold">{person.name} <span className="text-faint font-normal">{person.roles.join(', ')}</span></p>
        <p className="text-sm text-soft mb-3">{person.about}</p>
        <Button small onClick={signOut}>Be someone else</Button>
      </div>
    </details>
  );
}
