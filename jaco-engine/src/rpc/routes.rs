//! `jaco.v1.Routes`.

use std::sync::Arc;

use futures::{StreamExt as _, stream::FuturesUnordered};
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Node, NodeRoutes},
    pb::{self, route_report, routes_server},
};
use tonic::{Request, Response, Status};

use super::{
    Api, Membership, serving,
    stream::{Answers, Gone, answers},
};
use crate::summary;

/// Routes of domains.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl routes_server::Routes for Service {
    type InspectStream = Answers<pb::RouteReport>;

    async fn inspect(
        &self,
        request: Request<pb::InspectRouteRequest>,
    ) -> Result<Response<Self::InspectStream>, Status> {
        let (membership, state) = self.0.state()?;
        let domain = request.into_inner().domain.to_ascii_lowercase();
        let stored = summary::stored_routes(&state, &domain).ok_or_else(|| {
            ApiError::new(ErrorCode::RouteNotFound, format!("no route has domain {domain}"))
        })?;
        let nodes: Vec<_> = state.nodes().cloned().collect();
        let here = Arc::clone(&self.0);
        Ok(answers(&self.0, move |reader| {
            Box::pin(async move {
                reader.send(report(route_report::Message::Stored(stored.into()))).await?;
                let mut asking: FuturesUnordered<_> =
                    nodes.iter().map(|node| of_node(&here, &membership, node, &domain)).collect();
                loop {
                    tokio::select! {
                        told = asking.next() => match told {
                            Some(told) => {
                                reader.send(report(route_report::Message::Node(told.into()))).await?;
                            }
                            None => return Ok(()),
                        },
                        () = reader.gone() => return Err(Gone),
                    }
                }
            })
        }))
    }
}

fn report(message: route_report::Message) -> pb::RouteReport {
    pb::RouteReport { message: Some(message) }
}

/// What one node serves, beside what it is to serve by the newest state there is when it answers.
async fn of_node(api: &Api, membership: &Membership, node: &Node, domain: &str) -> NodeRoutes {
    match serving::of_node(api, membership, node, Some(domain)).await {
        Ok(served) => {
            let wanted = summary::to_serve(&membership.state.newest(), node, domain);
            summary::compare(node, &wanted, served)
        }
        Err(error) => summary::not_reached(node, error.message),
    }
}
