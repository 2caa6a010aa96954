//! Changes of deployments.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::{
    error::{ApiError, ErrorCode},
    manifest::{self, Diagnostic, Severity, Source},
    model::{
        BindAllowlist, ContainerSpec, Deployment, DeploymentName, DeploymentPhase,
        ManifestDocument, Placement, Principal, Revision, ServiceName,
    },
};

use super::{file, permit_change, route};
use crate::{
    command::{
        ApplyDeployment, Command, DeleteDeployment, HoldDeployment, RestartDeployment,
        RollbackDeployment, ScaleDeployment,
    },
    seal::{self, Keyring},
    state::State,
};

/// Most replicas of one service.
const MOST_REPLICAS: u32 = 10_000;

/// A manifest that was let in.
#[derive(Debug)]
pub struct Admitted {
    /// What it says.
    pub document: ManifestDocument,
    /// What in it has no effect or is probably not meant.
    pub warnings: Vec<Diagnostic>,
    command: ApplyDeployment,
}

impl Admitted {
    /// The change that puts it in force.
    #[must_use]
    pub fn into_command(self) -> Command {
        Command::ApplyDeployment(Box::new(self.command))
    }
    /// The change that puts it in force.
    #[must_use]
    pub fn command(&self) -> &ApplyDeployment {
        &self.command
    }
}

/// Checks a manifest as if nobody had checked it before, against the rights of the caller and the
/// members there are. A dry run gets the same verdict.
///
/// # Errors
/// Every problem of the documents at once; `permission_denied`, `unknown_host`, `secret_not_found`,
/// `privilege_denied`.
pub fn apply(
    state: &State,
    who: &Principal,
    keyring: &Keyring,
    jaco: &Source,
    compose: &Source,
) -> Result<Admitted, ApiError> {
    let members = state.nodes().map(|n| n.name.clone()).collect();
    let unknown = manifest::unknown_hosts(jaco, &members);
    let allowed = &state.settings().bind_allowlist;
    let checked = match manifest::check_allowing(jaco, compose, allowed) {
        Ok(checked) if unknown.is_empty() => checked,
        Ok(checked) => return Err(refused(checked.warnings.into_iter().chain(unknown).collect())),
        Err(problems) => return Err(refused(problems.into_iter().chain(unknown).collect())),
    };
    let document = checked.document;
    let missing = file::missing(state, &document, compose);
    if !missing.is_empty() {
        return Err(refused(checked.warnings.into_iter().chain(missing).collect()));
    }
    permit_change(who, &document.deployment)?;
    file::permit_use(state, &document)?;
    let privileged = privileges(who, &document, allowed)?;
    let mut documents = BTreeMap::new();
    let mut services = BTreeMap::new();
    for (name, (schedule, container)) in &document.services {
        let digest = container.digest();
        if state.document(&digest).is_none() {
            let sealed = keyring.seal(seal::CONTAINER, &container.to_canonical());
            documents.insert(digest, sealed);
        }
        services.insert(name.clone(), (schedule.clone(), digest));
    }
    let command = ApplyDeployment {
        deployment: document.deployment.clone(),
        services,
        networks: document.networks.clone(),
        volumes: document.volumes.clone(),
        routes: route::sealed(state, keyring, &document),
        acme_email: document.acme_email.clone(),
        documents,
        privileged,
    };
    Ok(Admitted { document, warnings: checked.warnings, command })
}

/// One error for all problems: with their code when they share one.
fn refused(diagnostics: Vec<Diagnostic>) -> ApiError {
    let errors: Vec<_> = diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    let codes: BTreeSet<_> = errors.iter().map(|d| d.code).collect();
    let code = match codes.first() {
        Some(code) if codes.len() == 1 => *code,
        _ => ErrorCode::ValidationFailed,
    };
    let message = match errors.as_slice() {
        [one] => one.message.clone(),
        many => format!("the manifest has {} problems", many.len()),
    };
    ApiError { diagnostics, ..ApiError::new(code, message) }
}

/// Why services equal access to the host, where the caller may admit that. That they carry the label
/// is part of the check of the manifest.
fn privileges(
    who: &Principal,
    document: &ManifestDocument,
    allowed: &BindAllowlist,
) -> Result<BTreeMap<ServiceName, Vec<String>>, ApiError> {
    let reasons = document
        .services
        .iter()
        .map(|(name, (_, container))| (name.clone(), manifest::privileges(container, allowed)));
    let privileged: BTreeMap<_, _> = reasons.filter(|(_, why)| !why.is_empty()).collect();
    if privileged.is_empty() || who.allow_privileged {
        return Ok(privileged);
    }
    let names: Vec<_> = privileged.keys().map(ServiceName::as_str).collect();
    let error = ApiError::new(
        ErrorCode::PrivilegeDenied,
        format!("{} may not admit service {}", who.identity, names.join(", ")),
    );
    Err(privileged
        .iter()
        .fold(error, |e, (name, why)| e.with(&format!("service {name}"), why.join(", "))))
}

/// The content of an earlier revision again.
///
/// # Errors
/// `permission_denied`, `deployment_not_found`. Which revisions are kept is looked at by `apply`.
pub fn rollback(
    state: &State,
    who: &Principal,
    deployment: DeploymentName,
    to: Option<u64>,
) -> Result<Command, ApiError> {
    present(state, who, &deployment)?;
    Ok(Command::RollbackDeployment(RollbackDeployment { deployment, to }))
}

/// The end of a deployment.
///
/// # Errors
/// `permission_denied`, `deployment_not_found`.
pub fn delete(
    state: &State,
    who: &Principal,
    deployment: DeploymentName,
    volumes: bool,
) -> Result<Command, ApiError> {
    permit_change(who, &deployment)?;
    find(state, &deployment)?;
    Ok(Command::DeleteDeployment(DeleteDeployment { deployment, volumes }))
}

/// Other replica counts.
///
/// # Errors
/// `permission_denied`, `deployment_not_found`, `service_not_found`, or `validation_failed` when a
/// count cannot be.
pub fn scale(
    state: &State,
    who: &Principal,
    deployment: DeploymentName,
    replicas: &BTreeMap<String, u32>,
) -> Result<Command, ApiError> {
    present(state, who, &deployment)?;
    if replicas.is_empty() {
        return Err(invalid("no service to scale was named".to_owned()));
    }
    let mut counts = BTreeMap::new();
    for (name, count) in replicas {
        if *count > MOST_REPLICAS {
            return Err(invalid(format!("a service has at most {MOST_REPLICAS} replicas")));
        }
        counts.insert(service(state, &deployment, name)?, *count);
    }
    for (name, count) in &counts {
        let Some(planned) = state.service(&deployment, name) else { continue };
        if planned.schedule.placement == Some(Placement::Global) {
            return Err(invalid(format!("service {name} is global: it has one replica per node")));
        }
        if planned.schedule.singleton && *count > 1 {
            return Err(invalid(format!("service {name} is a singleton: at most one replica")));
        }
    }
    Ok(Command::ScaleDeployment(ScaleDeployment { deployment, replicas: counts }))
}

/// New containers for the same content.
///
/// # Errors
/// `permission_denied`, `deployment_not_found`, `service_not_found`.
pub fn restart(
    state: &State,
    who: &Principal,
    deployment: DeploymentName,
    services: &[String],
) -> Result<Command, ApiError> {
    present(state, who, &deployment)?;
    let services =
        services.iter().map(|s| service(state, &deployment, s)).collect::<Result<_, _>>()?;
    Ok(Command::RestartDeployment(RestartDeployment { deployment, services }))
}

/// Nothing is to run, or everything again.
///
/// # Errors
/// `permission_denied`, `deployment_not_found`.
pub fn hold(
    state: &State,
    who: &Principal,
    deployment: DeploymentName,
    stopped: bool,
) -> Result<Command, ApiError> {
    present(state, who, &deployment)?;
    Ok(Command::HoldDeployment(HoldDeployment { deployment, stopped }))
}

/// The manifest behind a revision, with its container documents and passwords opened: holds secrets.
///
/// # Errors
/// `internal` when a document is missing, or one of these or cannot be opened with this node's keys.
pub fn document_of(
    state: &State,
    keyring: &Keyring,
    deployment: &DeploymentName,
    revision: &Revision,
) -> Result<ManifestDocument, ApiError> {
    let broken = |service: &ServiceName, why: String| {
        ApiError::new(ErrorCode::Internal, format!("the document of service {service} {why}"))
    };
    let mut services = BTreeMap::new();
    for (name, planned) in &revision.services {
        let sealed = state
            .document(&planned.container)
            .ok_or_else(|| broken(name, "is missing".to_owned()))?;
        let plain = keyring
            .open(seal::CONTAINER, sealed)
            .map_err(|e| broken(name, format!("cannot be opened: {e}")))?;
        let container = ContainerSpec::from_canonical(&plain)
            .map_err(|e| broken(name, format!("cannot be read: {e}")))?;
        services.insert(name.clone(), (planned.schedule.clone(), container));
    }
    Ok(ManifestDocument {
        deployment: deployment.clone(),
        services,
        networks: revision.networks.clone(),
        volumes: revision.volumes.clone(),
        routes: route::opened(keyring, &revision.routes)?,
        acme_email: revision.acme_email.clone(),
    })
}

/// A deployment that the caller may change and that is not on its way out.
fn present(state: &State, who: &Principal, deployment: &DeploymentName) -> Result<(), ApiError> {
    permit_change(who, deployment)?;
    match find(state, deployment)?.phase {
        DeploymentPhase::Deleting { .. } => Err(ApiError::new(
            ErrorCode::Conflict,
            format!("deployment {deployment} is being deleted"),
        )),
        DeploymentPhase::Running | DeploymentPhase::Stopped => Ok(()),
    }
}

fn find<'a>(state: &'a State, deployment: &DeploymentName) -> Result<&'a Deployment, ApiError> {
    state.deployment(deployment).map(|d| &**d).ok_or_else(|| {
        ApiError::new(ErrorCode::DeploymentNotFound, format!("there is no deployment {deployment}"))
    })
}

fn service(
    state: &State,
    deployment: &DeploymentName,
    name: &str,
) -> Result<ServiceName, ApiError> {
    let name: ServiceName = name.parse()?;
    if state.service(deployment, &name).is_none() {
        return Err(ApiError::new(
            ErrorCode::ServiceNotFound,
            format!("deployment {deployment} has no service {name}"),
        ));
    }
    Ok(name)
}

fn invalid(message: String) -> ApiError {
    ApiError::new(ErrorCode::ValidationFailed, message)
}
