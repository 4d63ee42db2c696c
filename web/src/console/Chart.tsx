// SPDX-License-Identifier: Apache-2.0
// A line over the last minutes, in the colours of the page.
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { useTheme } from '../shared/theme.ts';

export interface Line { readonly name: string; readonly colour: 'accent' | 'good' | 'warn' | 'bad'; readonly values: readonly (number | null)[] }

interface Props {
  title: string; times: readonly number[]; lines: readonly Line[]; show: (value: number) => string;
  /** There are no parts of one. */
  whole?: boolean;
}

const HEIGHT = 150;

const clock = (seconds: number) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });

export function Chart({ title, times, lines, show, whole }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const theme = useTheme();
  const data = [times, ...lines.map(line => line.values)] as uPlot.AlignedData;
  const latest = useRef({ data, show });
  useEffect(() => { latest.current = { data, show }; });
  const names = lines.map(line => `${line.name} ${line.colour}`).join();
  useEffect(() => {
    const element = box.current!;
    const colour = (name: string) => getComputedStyle(element).getPropertyValue(`--${name}`);
    const axis = { stroke: colour('faint'), grid: { stroke: colour('line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
    const made = new uPlot({
      width: element.clientWidth, height: HEIGHT, legend: { show: false }, cursor: { y: false }, padding: [8, 28, 0, 0],
      scales: { y: { range: (_, min, max) => [Math.min(0, min), max > 0 ? max * 1.1 : 1] } },
      axes: [{ ...axis, space: 90, size: 28, values: (_, ticks) => ticks.map(clock) }, {
        ...axis, size: 62, space: 34, ...(whole && { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] }), values: (_, ticks) => ticks.map(tick => latest.current.show(tick)),
      }],
      series: [{}, ...lines.map(line => ({ label: line.name, stroke: colour(line.colour), width: 1.75, points: { show: false }, spanGaps: true }))],
    }, latest.current.data, element);
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      made.destroy();
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `names` stands for the lines; their values come below
  }, [names, theme, whole]);
  useEffect(() => { plot.current?.setData(data); });
  const last = lines.map(line => ({ ...line, value: line.values.at(-1) }));
  return (
    <figure className="card px-3 pt-3 pb-1 min-w-0">
      <figcaption className="flex flex-wrap items-baseline gap-x-4 px-1 mb-1">
        <h2 className="grow">{title}</h2>
        {last.map(line => (
          <span key={line.name} className="text-sm text-soft numbers">
            <span aria-hidden="true" className="inline-block w-3 h-0.5 align-middle mr-1.5" style={{ background: `var(--${line.colour})` }} />
            {line.name} <strong className="text-ink font-semibold">{line.value == null ? 'none' : show(line.value)}</strong>
          </span>
        ))}
      </figcaption>
      <div ref={box} aria-hidden="true" />
    </figure>
  );
}
