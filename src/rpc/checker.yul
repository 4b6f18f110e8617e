// Asks an account, on its own chain and in a simulation alone, whether a signature is its own.
//
// It is creation code without an end: a node runs it by `eth_call` without `to`, and what it gives back in place of
// code is the answer. One call is one block, so deployment, question and block cannot come apart.
//
// After the code stand, without padding: the account (20 bytes), the digest (32), the factory (20, zeros for none),
// the length of the factory's call data (4, big-endian), that call data, and the signature.
//
// The answer is five words: the verdict, the chain's id, the block's number and time, and the Keccak-256 of all that
// stands after the code, so that an answer to something else is none. Verdicts:
//   0  the account has no code
//   1  it has, and takes the signature
//   2  it has, and does not: it reverted, or answered anything but the magic value in exactly 32 bytes
//   3  it had none, and the factory did not deploy it
//   4  it had none, the factory deployed it, and it takes the signature
//   5  the same, and it does not
//   6  it is a key's that has delegated to code (EIP-7702), and that code takes the signature
object "Checker" {
    code {
        let start := datasize("Checker")
        let length := sub(codesize(), start)
        // Above the scratch space; a word more, so that what is read near the end is zeros.
        let input := 0x80
        codecopy(input, start, length)
        let account := shr(96, mload(input))
        let digest := mload(add(input, 20))
        let factory := shr(96, mload(add(input, 52)))
        let callLength := shr(224, mload(add(input, 72)))
        let signatureLength := sub(sub(length, 76), callLength)

        let verdict := 0
        let deployed := 0
        if iszero(extcodesize(account)) {
            if factory {
                verdict := 3
                if call(gas(), factory, 0, add(input, 76), callLength, 0, 0) {
                    deployed := 3
                }
            }
        }
        if extcodesize(account) {
            // isValidSignature(bytes32,bytes), ERC-1271.
            let data := and(add(add(input, length), 0x3f), not(0x1f))
            let magic := shl(224, 0x1626ba7e)
            mstore(data, magic)
            mstore(add(data, 4), digest)
            mstore(add(data, 36), 0x40)
            mstore(add(data, 68), signatureLength)
            codecopy(add(data, 100), add(start, add(76, callLength)), signatureLength)
            mstore(0, 0)
            let size := add(100, and(add(signatureLength, 0x1f), not(0x1f)))
            let answered := staticcall(gas(), account, data, size, 0, 0x20)
            verdict := add(deployed, 2)
            if and(and(answered, eq(returndatasize(), 0x20)), eq(mload(0), magic)) {
                verdict := add(deployed, 1)
                // No contract's code begins with 0xef (EIP-3541); that of an account that delegated, with 0xef01.
                mstore(0, 0)
                extcodecopy(account, 0, 0, 3)
                if eq(shr(240, mload(0)), 0xef01) { verdict := 6 }
            }
        }
        // Before the words stand where the input is.
        let asked := keccak256(input, length)
        mstore(0x00, verdict)
        mstore(0x20, chainid())
        mstore(0x40, number())
        mstore(0x60, timestamp())
        mstore(0x80, asked)
        return(0x00, 0xa0)
    }
}
