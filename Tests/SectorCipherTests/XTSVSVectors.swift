import Testing

/// NIST CAVP, XTSVS ("The XTS-AES Validation System"), test vectors with the tweak given as a data
/// unit sequence number: XTSGenAES128.rsp and XTSGenAES256.rsp of CAVS 11.0, some whose data unit
/// has whole blocks.
struct XTSVSVector: Sendable, CustomTestStringConvertible {
  let file: String
  let isEncryption: Bool
  let count: Int
  let key: String
  let dataUnit: UInt64
  let plaintext: String
  let ciphertext: String

  var testDescription: String {
    "\(file) \(isEncryption ? "ENCRYPT" : "DECRYPT") COUNT \(count)"
  }

  static let all = [
    XTSVSVector(
      file: "XTSGenAES128.rsp", isEncryption: true, count: 1,
      key: "a3e40d5bd4b6bbedb2d18c700ad2db2210c81190646d673cbca53f133eab373c",
      dataUnit: 141,
      plaintext: "20e0719405993f09a66ae5bb500e562c",
      ciphertext: "74623551210216ac926b9650b6d3fa52"),
    XTSVSVector(
      file: "XTSGenAES128.rsp", isEncryption: true, count: 57,
      key: "362fbf4b8606854ae76ee25a34c2c660be36bb0a59c8b05c5c97db50d1a01587",
      dataUnit: 64,
      plaintext: "837b6c4a6884ebd81456ae09bc1f058f",
      ciphertext: "801ceeb3fb0d6da8934dec9a1ca18366"),
    XTSVSVector(
      file: "XTSGenAES128.rsp", isEncryption: true, count: 101,
      key: "69438582e0a61b5e7a023adf2f419630ed537ccf9a4b2e09010eaf7b66bcf818",
      dataUnit: 232,
      plaintext: "05c2c05e812bc4295f3ef64c8bc468ee946176449edc481785e6c6d9fbdd6b8f",
      ciphertext: "27259ec330a66591e265525cd1eb5017ba195a390e4f66ddfb7c1a4b0fb5e49d"),
    XTSVSVector(
      file: "XTSGenAES128.rsp", isEncryption: true, count: 200,
      key: "e4676dfd4893952e0f70f725939c59704c600e2095c4b809c8513824b53ccc90",
      dataUnit: 190,
      plaintext: "8d73743b07d80a33107592bcbc50c3e456b57c9c6a256a0c0020a5f946ac3e01",
      ciphertext: "1473d6587ffedcb551df9cb82a150a933f8fff6c9c55fffd679f7a43c6b5a4dd"),
    XTSVSVector(
      file: "XTSGenAES128.rsp", isEncryption: false, count: 1,
      key: "1bbfeadf539daedcae33ced497343f3ca1f2474ad932b903997d44707db41382",
      dataUnit: 71,
      plaintext: "52a42bca4e9425a25bbc8c8bf6129dec",
      ciphertext: "517e602becd066b65fa4f4f56ddfe240"),
    XTSVSVector(
      file: "XTSGenAES128.rsp", isEncryption: false, count: 57,
      key: "d8bf94588fa741d4427bcebe12a58b38c4005f74e8300eeb79bd7044fdeef832",
      dataUnit: 4,
      plaintext: "96f77d5a9311c07431c307eec5f32b5a",
      ciphertext: "06b7fea94c1bd2a1cdd55654f97e24b7"),
    XTSVSVector(
      file: "XTSGenAES128.rsp", isEncryption: false, count: 101,
      key: "2bfcf75c30dc657e5a1cfdaa0cfbd07b16545b0ceee1812fff16a68b7b07729d",
      dataUnit: 194,
      plaintext: "700771155070a6595730cc63a1c4efe10afaef372c7e7ff419fa48b30a1236db",
      ciphertext: "45368c7989be77b2bc446bb1353c02709a5020bd0501cad0d301255cc0353a53"),
    XTSVSVector(
      file: "XTSGenAES128.rsp", isEncryption: false, count: 200,
      key: "cc95a260207a06ca3e01240bf5b921b742eb47d0cc613677c4cf29c5b8c49f76",
      dataUnit: 76,
      plaintext: "d44c3c596d6119a2c5e2d24e64f7123197046929dfe9886aed9760e6baef4409",
      ciphertext: "174096293eb51bff1bf439b759ab888e428a3c9f42e93e00b481809f62dc8c79"),
    XTSVSVector(
      file: "XTSGenAES256.rsp", isEncryption: true, count: 1,
      key:
        """
        ef010ca1a3663e32534349bc0bae62232a1573348568fb9ef41768a7674f507a
        727f98755397d0e0aa32f830338cc7a926c773f09e57b357cd156afbca46e1a0
        """,
      dataUnit: 187,
      plaintext: "ed98e01770a853b49db9e6aaf88f0a41b9b56e91a5a2b11d40529254f5523e75",
      ciphertext: "ca20c55e8dc149687d2541de39c3df6300bb5a163c10ced3666b1357db8bd39d"),
    XTSVSVector(
      file: "XTSGenAES256.rsp", isEncryption: true, count: 57,
      key:
        """
        5951f18432ae2f4b5f1f703f9140b6a887fa94c958491d011a3a5b885a09adef
        c799b3fc38a1e68f018c99b331f3ff57042c8cb0703856681f89696c69b5fb82
        """,
      dataUnit: 17,
      plaintext: "cd0ed3b31b7290ed9d2ee0ea6822d5c261b6ef37e7e9c1f84bf35f7427ff16f5",
      ciphertext: "4b3ed095e370f63ac6cb218c98fbbedfe004db0c5032629979f0043f1730c3c2"),
    XTSVSVector(
      file: "XTSGenAES256.rsp", isEncryption: true, count: 101,
      key:
        """
        f6db5326ea996b16ca0d439b5a0106e3a34ed343db489faad06979009399b03b
        3cd9ef23332d46414216531d9885a5a30b1964523992f42748202b80a4190d45
        """,
      dataUnit: 245,
      plaintext:
        """
        bf6a09f93f94d6bdc8c5f5e158916c3371a540e46644f79414d84dda1339397c
        e90ebb768deeb88ecd2be175a396bb85
        """,
      ciphertext:
        """
        b11a252c5776c439ea7baeaae7830418e574b2248cc8b524b7fd0cc8e1ecffa9
        812f45ae313e3e1f44127b27fb08a613
        """),
    XTSVSVector(
      file: "XTSGenAES256.rsp", isEncryption: true, count: 200,
      key:
        """
        6e752123bd86dc5bed8819cf3981b88c77e1731a0565b6d293eb2d047d5d0b91
        db8768c4a6b1d593cee8fc01dfdba02f26c99d214365c1238907dc34509073e8
        """,
      dataUnit: 218,
      plaintext:
        """
        444b7ce174e200071e4432d51ba4a44ce8d1d3e32d89febfe4756e1938971931
        7b2eba7d40fea5b207d2cc1fd6b5674b
        """,
      ciphertext:
        """
        8229e262076a27e5de17f7f61425a3bf24cba014598a82372ca0aded3611cdd8
        6ec8b0eaa76d80e80e216730ba7d9b55
        """),
    XTSVSVector(
      file: "XTSGenAES256.rsp", isEncryption: false, count: 1,
      key:
        """
        6392c0aeba7f6a217af6ff9fb2e7564796481bd4f20ecd6c60f72ed140a5f2da
        cddc094b3957c64e9da9e094ef838b63f5bd800a3cd35c9193cff6373979447e
        """,
      dataUnit: 7,
      plaintext: "af4a29ab37e9fc4d8ac179ce02392622d28bc4039d11de0ffaa832ec186b4562",
      ciphertext: "1ed5587b6116f6449d4be4cf6a614da0c21b018b157305e50aa38036ec90731f"),
    XTSVSVector(
      file: "XTSGenAES256.rsp", isEncryption: false, count: 57,
      key:
        """
        eb57d05522acf1cbbbc66bfe54214f915fcdcc60239cef826a88d64cb322be73
        5903a0a5285a2f468116fbf401dd8621479158514cc776e091e4271e90425771
        """,
      dataUnit: 32,
      plaintext: "1eb6444424d94e0f79a75c3b0b11b1a4152511c42f3082a90ba617e494030f14",
      ciphertext: "93997b6bd553cd16bf109d87caca3602b9db976b84f070d7f07ac8baa7585d19"),
    XTSVSVector(
      file: "XTSGenAES256.rsp", isEncryption: false, count: 101,
      key:
        """
        80d30916dd6ae8c4d5ace125960bdaa24386b40ca1af84b270df26a6f0b5aa87
        d7ee30380d48f5291700317dea6a73ab7b81d395dc5437a7af53f977909e162a
        """,
      dataUnit: 131,
      plaintext:
        """
        868291be4ddf6e3366225c90f4ea13791514c32c35e700d3fb1ee0238ddd747b
        a84ae505b343dc379d2b427af586dbbc
        """,
      ciphertext:
        """
        d97a069f48d53d98a20ff37dff8e12c04adf05e0d947892c5265d3853e71b093
        3aacba7ba7863e98175045c7bf5b95f8
        """),
    XTSVSVector(
      file: "XTSGenAES256.rsp", isEncryption: false, count: 200,
      key:
        """
        47fc861c2e59842b254d9e0835c37e51ad878634ee8b9dfe6d1a3b409299c65e
        f5711110a5e804b00596a220f4ac33f94fb176db139cf551c7156a75a15c280f
        """,
      dataUnit: 69,
      plaintext:
        """
        b9e2080ede04bf9d1e64234b92a3d51c3874dbbdbf76a91a86ed90140913a1cc
        431d39ee6855da66b881b2946a91ad6a
        """,
      ciphertext:
        """
        7529976a55c0da85fd65682f2a1cf9142860d3234b0d47f00e63fe45efe73db2
        dab5fcc25104d72386a74a29376046b5
        """),
  ]
}
