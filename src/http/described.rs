//! What a document says of every operation of a surface alike, so that no handler repeats it.

use std::{collections::HashMap, marker::PhantomData};

use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    OpenApi,
    registry::{MetaApi, MetaOperation, MetaOperationParam, MetaParamIn, MetaSchemaRef, Registry},
};

use crate::http::failure::{every_answer, problem_meta};

/// The answers that the operations of a surface have in common.
pub trait Responses: Send + Sync + 'static {
    /// What 201 means here.
    const CREATED: &'static str;

    /// The errors that an operation has whatever its handler says of its own.
    fn errors(path: &str, operation: &MetaOperation) -> Vec<u16>;

    /// What an error of this status means here.
    fn meaning(status: u16) -> &'static str;
}

/// Handlers, as the document of their surface `S` shows them.
pub struct Described<S, T> {
    apis: T,
    of: PhantomData<fn() -> S>,
}

impl<S, T> Described<S, T> {
    pub fn new(apis: T) -> Self {
        Self { apis, of: PhantomData }
    }
}

impl<S: Responses, T: OpenApi> OpenApi for Described<S, T> {
    fn meta() -> Vec<MetaApi> {
        let mut apis = T::meta();
        for path in apis.iter_mut().flat_map(|api| &mut api.paths) {
            for operation in &mut path.operations {
                describe::<S>(&path.path, operation);
            }
        }
        apis
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, table: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        self.apis.add_routes(table);
    }
}

fn describe<S: Responses>(path: &str, operation: &mut MetaOperation) {
    operation.params = std::mem::take(&mut operation.params).into_iter().flat_map(parameters).collect();
    let mut errors = S::errors(path, operation);
    let responses = &mut operation.responses.responses;
    errors.extend(responses.iter().filter_map(|response| response.status).filter(|status| *status >= 400));
    errors.sort_unstable();
    errors.dedup();
    responses.retain(|response| response.status.is_none_or(|status| status < 400));
    for response in responses.iter_mut().filter(|response| response.status == Some(201)) {
        response.description = S::CREATED;
    }
    responses.extend(errors.into_iter().map(|status| problem_meta(status, S::meaning(status), every_answer())));
}

/// An object in the query is its properties, one parameter each.
fn parameters(parameter: MetaOperationParam) -> Vec<MetaOperationParam> {
    match parameter {
        MetaOperationParam { schema: MetaSchemaRef::Inline(schema), in_type: MetaParamIn::Query, .. }
            if schema.ty == "object" =>
        {
            let properties = schema.properties.into_iter();
            let of = |(name, mut schema): (&str, MetaSchemaRef)| MetaOperationParam {
                name: name.to_owned(),
                description: match &mut schema {
                    MetaSchemaRef::Inline(schema) => schema.description.take().map(str::to_owned),
                    MetaSchemaRef::Reference(_) => None,
                },
                schema,
                in_type: MetaParamIn::Query,
                required: false,
                deprecated: false,
                explode: true,
                style: None,
            };
            properties.map(of).collect()
        }
        MetaOperationParam { in_type: MetaParamIn::Path, description: None, .. } if parameter.name == "org" => {
            vec![MetaOperationParam { description: Some("The org's slug.".to_owned()), ..parameter }]
        }
        parameter => vec![parameter],
    }
}
