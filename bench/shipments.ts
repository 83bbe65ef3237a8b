/** The rule of those that need actions which wait for people. */
export const SHIPMENTS_ASK = `
@id("shipments-ask")
@reason("Whatever is shipped is looked at first.")
@approval("dba")
forbid(principal, action == Countersign::Action::"WRITE", resource)
when { context.targets.contains("shipments") };
`;
