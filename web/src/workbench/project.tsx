// SPDX-License-Identifier: Apache-2.0
// Which project the screens are about; remembered for this tab.
import { useState } from 'react';

const KEY = 'tidings.project';
export const PROJECTS = ['demo', 'shop', 'library'] as const;

export function useProject() {
  const [project, set] = useState(() => sessionStorage.getItem(KEY) ?? 'demo');
  return [project, (next: string) => { sessionStorage.setItem(KEY, next); set(next); }] as const;
}

export function ProjectPicker({ project, onPick }: { project: string; onPick: (project: string) => void }) {
  return (
    <label className="flex items-center gap-2 text-sm text-soft">Project
      <select className="field w-auto py-1" value={project} onChange={event => onPick(event.target.value)}>
        {PROJECTS.map(name => <option key={name}>{name}</option>)}
      </select>
    </label>
  );
}
