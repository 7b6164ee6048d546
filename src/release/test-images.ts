/** The images that tests run beside a release: of a project of their own, made like a release's, and under the names that tests ask for. */
import type { NodeImage } from '../cluster/archive.ts'
import { type ImagePlan, type ReleasePlan, upstreamOf } from '../plan/release-plan.ts'
import { buildTools } from './compilers.ts'
import { imageTasks } from './image-tasks.ts'
import { standInsOf } from './labels.ts'
import type { ReleasePorts } from './ports.ts'
import { runTasks } from './run.ts'

/** A label of a test image: one more name that it has on the node. */
const alsoLabel = 'io.rfolabs.also'

export interface TestImages {
  readonly images: readonly NodeImage[]
  /** component → the name that a pod asks for */
  readonly names: ReadonlyMap<string, string>
  /** what of them is not what their pipelines name, one phrase each */
  readonly standIns: readonly string[]
}

/** `only`: of these components; all of them unless told. */
export async function testImages(plan: ReleasePlan, ports: ReleasePorts, only?: readonly string[]): Promise<TestImages> {
  const wanted = plan.images.filter(({ component }) => only?.includes(component) !== false)
  const made = imageTasks(plan, [], await buildTools(plan, ports), ports, wanted)
  const done = await runTasks(
    made.map(({ index }) => index),
    ports,
    'finish',
  )
  const standIns = new Set(plan.platforms.flatMap((platform) => made.flatMap(({ image }) => standInsOf(plan, image, platform))))
  return {
    images: made.map(({ image, index }) => ({ names: namesOf(image), target: done.of(index), from: ports.store })),
    names: new Map(wanted.map((image) => [image.component, upstreamOf(image)])),
    standIns: [...standIns].map((each) => `images of the tests: a stand-in for ${each}`),
  }
}

function namesOf(image: ImagePlan): readonly string[] {
  const also = image.config.labels?.[alsoLabel]
  return [upstreamOf(image), image.reference, ...(also === undefined ? [] : [also])]
}
