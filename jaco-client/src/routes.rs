//! Routes of a domain, as they are stored and as every node serves them.

use futures::TryStreamExt as _;
use jaco_api::{
    model::{NodeRoutes, RouteDetail, StoredRoutes},
    pb::{self, route_report::Message},
};

use crate::{Client, Error, call::MAX_MESSAGE, retry::Repeat};

impl Client {
    /// What is stored of a domain, and what each node really serves for it, by the nodes' names; the empty domain is
    /// that of routes for every name. A node that does not answer within two seconds is a row that says so.
    ///
    /// # Errors
    /// `route_not_found` when no route has the domain.
    pub async fn route(&self, domain: &str) -> Result<RouteDetail, Error> {
        let request = pb::InspectRouteRequest { domain: domain.to_owned() };
        let reports = self
            .call(Repeat::Harmless, &request, |c, r| async move {
                pb::routes_client::RoutesClient::new(c)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .inspect(r)
                    .await
            })
            .await?;
        let reports: Vec<pb::RouteReport> = reports.try_collect().await?;
        let (mut stored, mut nodes) = (None, Vec::new());
        for report in reports {
            match report.message {
                Some(Message::Stored(row)) => {
                    stored = Some(StoredRoutes::try_from(row).map_err(Error::answer)?);
                }
                Some(Message::Node(row)) => {
                    nodes.push(NodeRoutes::try_from(row).map_err(Error::answer)?);
                }
                None => {}
            }
        }
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        let stored = stored.ok_or_else(|| Error::answer("routes without what is stored"))?;
        Ok(RouteDetail { stored, nodes })
    }
}
