//! Some rounds of the fault suite; `make faults` has more of them, and other ones each time.

use portcullis_tests::faults::Suite;

#[tokio::test]
async fn t31_nothing_acknowledged_is_lost_and_nothing_revoked_accepted_whatever_is_killed_or_cut_off() {
    let mut suite = Suite::start(31).await;
    for _ in 0..4 {
        let round = suite.round().await;
        let verdicts: Vec<_> = suite.verdicts().iter().map(ToString::to_string).collect();
        assert!(verdicts.is_empty(), "{}\n{round}", verdicts.join("\n"));
    }
    let figures = suite.figures();
    // Neither an idle suite nor one without faults would find anything.
    assert!(figures.operations() > 200, "{figures}");
    for fault in ["kill -9 control plane", "kill -9 authz"] {
        assert!(figures.faults_of(fault) > 0, "{fault}\n{figures}");
    }
    for revocation in [
        "revoke access token",
        "revoke refresh token",
        "operator revokes token",
        "operator revokes grant",
        "operator revokes client",
        "operator revokes subject",
    ] {
        assert!(figures.answered(revocation) > 0, "{revocation}\n{figures}");
    }
}
