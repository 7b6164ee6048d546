/** Days as image tags have them, `20261123`, in UTC. */
import type { ImagePlan, ReleasePlan } from './release-plan.ts'

/** `milliseconds` since 1970. */
export function dayOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 10).replaceAll('-', '')
}

/** Seconds since 1970 of its first moment. */
export function epochOfDay(day: string): number {
  return Date.UTC(Number(day.slice(0, 4)), Number(day.slice(4, 6)) - 1, Number(day.slice(6, 8))) / 1000
}

export function dayAfter(day: string): string {
  return dayOf((epochOfDay(day) + 86_400) * 1000)
}

/** Another day would give it another tag. */
export function endsWithDay({ reference, locked }: Pick<ImagePlan, 'reference' | 'locked'>): boolean {
  return locked?.date !== undefined && reference.endsWith(locked.date)
}

/** The later of two. */
export function laterDay(one: string, other: string): string {
  return one < other ? other : one
}

/**
 * Seconds since 1970: every time stamp in an image. It is that of the image's tag and not the release's: releases that are
 * locked alike on one day give one tag, and one digest.
 */
export function imageEpoch(plan: Pick<ReleasePlan, 'epoch'>, image: Pick<ImagePlan, 'locked'>): number {
  const date = image.locked?.date
  return date === undefined ? plan.epoch : epochOfDay(date)
}
