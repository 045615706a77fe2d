"use strict";

{
  const reference = document.getElementById("reference");
  const readOnly = reference.dataset.readOnly === "true";
  const nothing = () => () => null;

  SwaggerUIBundle({
    domNode: reference,
    url: "openapi.json",
    // The standalone layout adds an inline style, which the policy refuses.
    layout: "BaseLayout",
    presets: [SwaggerUIBundle.presets.apis],
    plugins: readOnly
      ? [{ wrapComponents: { AuthorizeBtnContainer: nothing, authorizeOperationBtn: nothing } }]
      : [],
    supportedSubmitMethods: readOnly ? [] : ["get", "put", "post", "delete", "patch"],
    validatorUrl: null, // it would send the description to another server
    queryConfigEnabled: false, // no address from the query
    persistAuthorization: false,
    deepLinking: true,
    docExpansion: "list",
    filter: true,
  });
}
