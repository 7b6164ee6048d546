/** of the pairs that sign and verify */
export const signatures = 200
