//! What nodes find when they prove their data planes.

use futures::TryStreamExt as _;
use jaco_api::{
    model::{DoctorReport, NodeName},
    pb,
};

use crate::{Client, Error, call::MAX_MESSAGE, retry::Repeat};

impl Client {
    /// Has a node, or every node, prove its data plane; reports in order of the nodes' names. With
    /// `repair`, what can be put right is. A node that does not answer is a report that says so.
    ///
    /// # Errors
    /// `unknown_node`; `permission_denied` for a repair by anybody but administrators; when the node
    /// that is asked does not answer.
    pub async fn diagnose(
        &self,
        node: Option<&NodeName>,
        repair: bool,
    ) -> Result<Vec<DoctorReport>, Error> {
        let node = node.map(NodeName::to_string).unwrap_or_default();
        let request = pb::DiagnoseRequest { node, repair };
        let reports = self
            .call(Repeat::Harmless, &request, |c, r| async move {
                pb::nodes_client::NodesClient::new(c)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .diagnose(r)
                    .await
            })
            .await?;
        let read = |report: pb::DoctorReport| DoctorReport::try_from(report).map_err(Error::answer);
        let mut reports: Vec<_> = reports
            .map_err(Error::from)
            .and_then(async |report| read(report))
            .try_collect()
            .await?;
        reports.sort_by(|a, b| a.node.cmp(&b.node));
        Ok(reports)
    }
}
