import assert from "node:assert/strict";
import { loadCertificate } from "../../../src/admin/certificate.ts";
import { VipfarmError } from "../../../src/core/errors.ts";
import { makeCertificate, opensslIsHere } from "./openssl.ts";

Deno.test({
  name: "a certificate is used only with its own key, whole, valid and unread by others",
  ignore: !opensslIsHere,
  fn: async () => {
    const directory = await Deno.makeTempDir();
    try {
      const files = { certificateFile: `${directory}/crt`, keyFile: `${directory}/key` };
      const [one, two] = [await makeCertificate("one"), await makeCertificate("two")];
      const put = (certificate: string, key: string, mode = 0o600) => {
        Deno.writeTextFileSync(files.certificateFile, certificate);
        Deno.writeTextFileSync(files.keyFile, key);
        Deno.chmodSync(files.keyFile, mode);
      };
      put(one.certificate, one.key);
      assert.deepEqual(await loadCertificate(files), one);
      const refused = async (problem: RegExp, remedy = /./) =>
        await assert.rejects(loadCertificate(files), (error: VipfarmError) => {
          assert.match(error.message, problem);
          assert.match(error.remedy ?? "", remedy);
          return true;
        });
      put(one.certificate, two.key);
      await refused(/does not belong/, /a running daemon takes it up/);
      put(one.certificate.slice(0, 200), one.key);
      await refused(/no certificate in PEM/);
      put(one.certificate, "nothing");
      await refused(/no private key in PEM/);
      put(one.certificate, one.key, 0o644);
      await refused(/others may read it/);
      put(one.certificate, one.key);
      await Deno.remove(files.certificateFile);
      await refused(/No such file/);
      const old = await makeCertificate("old", "20200101000000Z", "20200102000000Z");
      if (old.certificate !== "") {
        put(old.certificate, old.key);
        await refused(/expired/);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
