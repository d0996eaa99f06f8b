// A real OpenID provider (oidc-provider, certified). It reads {issuer, port, client, jwks, people} from stdin.
import { readFileSync } from "node:fs";
import { Provider } from "oidc-provider";

const { issuer, port, client, jwks, people } = JSON.parse(readFileSync(0, "utf8"));
const provider = new Provider(issuer, {
  jwks,
  clients: [
    {
      client_id: client.id,
      redirect_uris: [client.redirect],
      token_endpoint_auth_method: "none",
      application_type: "native",
      id_token_signed_response_alg: client.algorithm,
    },
  ],
  cookies: { keys: ["only for this test"] },
  claims: { openid: ["sub"], email: ["email"], profile: ["name", "roles"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
});
provider.listen(port, "127.0.0.1", () => console.log("ready"));
