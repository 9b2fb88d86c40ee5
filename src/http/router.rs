//! poem's router before the handlers of a surface: it finds the operation that a path and a method name, and the surface
//! decides with it.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use poem::{
    Endpoint, EndpointExt as _, Request, Response, Route,
    endpoint::BoxEndpoint,
    http::{Method, Uri},
    middleware::CatchPanic,
};
// What poem-openapi's own service puts into each request, for its `Query`.
use poem_openapi::{__private::UrlQuery, OpenApi};

use crate::{
    domain::problem::{Code, Problem},
    http::failure,
    state::App,
    telemetry::{meters::Template, request::note},
};

/// How long a handler may take; its statements have shorter bounds of their own.
const HANDLER_TIME: Duration = Duration::from_secs(30);

/// What an operation says that it needs when it needs no credential.
pub const ANYONE: &str = "none";

/// What stands before the handlers.
pub trait Surface: Send + Sync + 'static {
    /// Answers a request, with the operation that it names, `404 not_found`, or `405 method_not_allowed` with what its path
    /// takes.
    fn answer(&self, request: Request, found: Result<&Operation, Problem>) -> impl Future<Output = Response> + Send;
}

/// A handler, and what its surface needs to know of it.
pub struct Operation {
    /// `operationId`.
    pub id: &'static str,
    /// Its bodies are files.
    pub upload: bool,
    /// It needs no credential.
    pub open: bool,
    handler: BoxEndpoint<'static>,
}

impl Operation {
    /// Lets the handler answer, in bounded time; a HEAD as a GET.
    ///
    /// # Errors
    /// What it refused, the framework's own refusals included.
    pub async fn handle(&self, app: &Arc<App>, mut request: Request) -> Result<Response, Problem> {
        let query = request.params().unwrap_or_default();
        request.extensions_mut().insert(UrlQuery(query));
        request.set_data(Arc::clone(app));
        let handled = tokio::time::timeout(HANDLER_TIME, self.handler.call(request)).await;
        let answered = handled.unwrap_or_else(|_| Err(Problem::overloaded("the handler took too long").into()));
        answered.map_err(failure::problem_of)
    }
}

/// All that a surface serves.
pub fn router<T: OpenApi, S: Surface>(apis: T, surface: S) -> Route {
    let mut known = Vec::new();
    for path in T::meta().into_iter().flat_map(|api| api.paths) {
        for operation in path.operations {
            let content = operation.request.iter().flat_map(|request| &request.content);
            let upload = content.into_iter().any(|body| body.content_type.starts_with("multipart/"));
            let id = operation.operation_id.expect("the document is refused without it");
            let open = operation.security.iter().any(|needed| needed.contains_key(ANYONE));
            known.push((path.path.clone(), operation.method, id, upload, open));
        }
    }
    let surface = Arc::new(surface);
    let mut table = HashMap::new();
    apis.add_routes(&mut table);
    let mut route = Route::new().at("/*", Nowhere(Arc::clone(&surface)));
    for (path, mut handlers) in table {
        let shape = shape(&path);
        let mut operations = Vec::new();
        let mut template = Template::of(&path);
        for (of, method, id, upload, open) in known.iter().filter(|(of, ..)| self::shape(of) == shape) {
            template = Template::of(of);
            let Some(handler) = handlers.remove(method) else { continue };
            let panics =
                CatchPanic::new().with_handler(|_| failure::response(&Problem::internal("a handler panicked")));
            let handler = handler.with(panics).map_to_response().boxed();
            operations.push((method.clone(), Operation { id, upload: *upload, open: *open, handler }));
        }
        // A prefix that all paths of a noun share names its parameters as the document does.
        let path = path.replace('{', ":").replace('}', "");
        route = route.at(path, Item { surface: Arc::clone(&surface), template, operations });
    }
    route
}

/// A path without the names of its parameters.
fn shape(path: &str) -> String {
    let part = |part: &str| if part.starts_with([':', '{']) { "*".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// No path of the surface.
struct Nowhere<S>(Arc<S>);

impl<S: Surface> Endpoint for Nowhere<S> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        Ok(self.0.answer(request, Err(Problem::not_found())).await)
    }
}

/// A path, with what it takes.
struct Item<S> {
    surface: Arc<S>,
    template: Template,
    operations: Vec<(Method, Operation)>,
}

impl<S> Item<S> {
    /// The operation of a method; that of GET for HEAD.
    fn find(&self, uri: &Uri, method: &Method) -> Result<&Operation, Problem> {
        // The router takes nothing at all for a parameter.
        if uri.path().contains("//") {
            return Err(Problem::not_found());
        }
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let found = self.operations.iter().find(|(of, _)| of == method);
        found.map(|(_, operation)| operation).ok_or_else(|| {
            let mut allow: Vec<&str> = self.operations.iter().map(|(method, _)| method.as_str()).collect();
            if allow.contains(&"GET") {
                allow.push("HEAD");
            }
            allow.push("OPTIONS");
            let allow = allow.join(", ");
            let problem = Problem::new(Code::MethodNotAllowed, format!("This path takes {allow}."));
            Problem { allow: Some(allow), ..problem }
        })
    }
}

impl<S: Surface> Endpoint for Item<S> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        note(|known| known.template = Some(self.template.clone()));
        let found = self.find(request.uri(), request.method());
        Ok(self.surface.answer(request, found).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item<()> {
        let operation = |id| Operation {
            id,
            upload: false,
            open: false,
            handler: poem::endpoint::make_sync(|_| "").boxed_response(),
        };
        let operations = vec![(Method::GET, operation("get")), (Method::PATCH, operation("change"))];
        Item { surface: Arc::new(()), template: Template::of("/tickets/{id}"), operations }
    }

    trait BoxedResponse: Endpoint + Sized + 'static {
        fn boxed_response(self) -> BoxEndpoint<'static> {
            self.map_to_response().boxed()
        }
    }

    impl<E: Endpoint + 'static> BoxedResponse for E {}

    #[test]
    fn a_path_takes_its_methods_and_head_where_there_is_a_get_and_says_so_of_any_other() {
        let (item, uri) = (item(), Uri::from_static("/tickets/7"));
        for (method, id) in [(Method::GET, "get"), (Method::HEAD, "get"), (Method::PATCH, "change")] {
            assert_eq!(item.find(&uri, &method).map(|operation| operation.id).ok(), Some(id));
        }
        for method in [Method::POST, Method::OPTIONS, Method::from_bytes(b"BREW").expect("a method")] {
            let refused = item.find(&uri, &method).err().expect("not taken");
            assert_eq!(
                (refused.code, refused.allow.as_deref()),
                (Code::MethodNotAllowed, Some("GET, PATCH, HEAD, OPTIONS"))
            );
        }
        let empty = item.find(&Uri::from_static("/orgs//tickets"), &Method::GET).err().expect("no path");
        assert_eq!(empty.code, Code::NotFound);
    }

    #[test]
    fn paths_are_one_however_they_name_their_parameters() {
        assert_eq!(shape("/v1/orgs/{org}/tickets/:param0"), shape("/v1/orgs/{org}/tickets/{id}"));
        assert_ne!(shape("/v1/orgs/{org}"), shape("/v1/orgs"));
    }
}
