//! One method of one path, as the document and the page tell it.

use serde_json::{Map, Value, json};

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    Anybody,
    /// Everybody, but operators are told more.
    AnybodySeesLess,
    Operators,
    /// Whom this operation admits.
    Guarded(String),
}

/// What a request carries beside its body.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// `path`, `query` or `header`.
    pub(super) place: &'static str,
    pub(super) about: String,
    pub(super) schema: Value,
}

/// An answer: its status, or `2XX` and the like, or `default`.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: &'static str,
    pub(super) about: String,
    /// By content type.
    pub(super) content: Vec<(&'static str, Value)>,
}

#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) tag: String,
    /// Tells it from every other, where there is a good name for it.
    pub(super) id: Option<String>,
    pub(super) summary: String,
    pub(super) who: Who,
    pub(super) parameters: Vec<Parameter>,
    /// Content type and schema of the body.
    pub(super) body: Option<(&'static str, Value)>,
    pub(super) answers: Vec<Answer>,
}

impl Endpoint {
    pub(super) fn new(method: &str, path: &str, tag: &str, summary: impl Into<String>) -> Self {
        let (method, path, tag) = (method.to_owned(), path.to_owned(), tag.to_owned());
        let (who, summary) = (Who::Anybody, summary.into());
        let (parameters, answers) = (segments(&path), Vec::new());
        let path = path.replace("{*", "{");
        Self { method, path, tag, id: None, summary, who, parameters, body: None, answers }
    }

    pub(super) fn id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    pub(super) fn who(self, who: Who) -> Self {
        Self { who, ..self }
    }

    pub(super) fn takes(mut self, place: &'static str, name: &str, schema: Value, about: &str) -> Self {
        let (name, about) = (name.to_owned(), about.to_owned());
        self.parameters.push(Parameter { name, place, about, schema });
        self
    }

    pub(super) fn body(self, content_type: &'static str, schema: Value) -> Self {
        Self { body: Some((content_type, schema)), ..self }
    }

    pub(super) fn answer(
        mut self,
        status: &'static str,
        about: impl Into<String>,
        content: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Self {
        let content = content.into_iter().collect();
        self.answers.push(Answer { status, about: about.into(), content });
        self
    }

    /// In words.
    pub(super) fn access(&self) -> String {
        match &self.who {
            Who::Anybody => "anybody".to_owned(),
            Who::AnybodySeesLess => "anybody; operators see details".to_owned(),
            Who::Operators => "operators".to_owned(),
            Who::Guarded(guard) => format!("anybody whom `{guard}` admits"),
        }
    }

    /// The operation object of the document.
    pub(super) fn json(&self) -> Value {
        let mut operation = Map::new();
        let mut set = |key: &str, value: Value| _ = operation.insert(key.to_owned(), value);
        set("tags", json!([self.tag]));
        if let Some(id) = &self.id {
            set("operationId", json!(id));
        }
        set("summary", json!(self.summary));
        set("description", json!(format!("For {}.", self.access())));
        if let Who::Guarded(guard) = &self.who {
            set("x-switchboard-guard", json!(guard));
        }
        set("security", self.security());
        if !self.parameters.is_empty() {
            set("parameters", self.parameters.iter().map(Parameter::json).collect());
        }
        if let Some((content_type, schema)) = &self.body {
            set("requestBody", json!({ "content": { *content_type: { "schema": schema } } }));
        }
        let answers = self.answers.iter().map(|answer| (answer.status.to_owned(), answer.json()));
        set("responses", Value::Object(answers.collect()));
        Value::Object(operation)
    }

    fn security(&self) -> Value {
        match self.who {
            Who::Anybody | Who::Guarded(_) => json!([]),
            Who::AnybodySeesLess => json!([{}, { "token": [] }, { "session": [] }]),
            Who::Operators => json!([{ "token": [] }, { "session": [] }]),
        }
    }
}

impl Parameter {
    fn json(&self) -> Value {
        let Self { name, place, about, schema } = self;
        let required = *place == "path";
        json!({ "name": name, "in": place, "description": about, "required": required, "schema": schema })
    }
}

impl Answer {
    fn json(&self) -> Value {
        let content =
            self.content.iter().map(|(kind, schema)| ((*kind).to_owned(), json!({ "schema": schema })));
        let content: Map<String, Value> = content.collect();
        if content.is_empty() {
            json!({ "description": self.about })
        } else {
            json!({ "description": self.about, "content": content })
        }
    }
}

/// The parameters that a path names: `{name}` for a segment, `{*name}` for all that follow.
fn segments(path: &str) -> Vec<Parameter> {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let rest = name.strip_prefix('*');
        let about = if rest.is_some() { "The rest of the path, slashes included." } else { "One segment." };
        let name = rest.unwrap_or(name).to_owned();
        Parameter { name, place: "path", about: about.to_owned(), schema: json!({ "type": "string" }) }
    };
    names.map(parameter).collect()
}
