// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

// Contract accounts of the few kinds that the tests need. None of them is for use.

/// The key that made a signature of 65 bytes, or nobody.
function signerOf(bytes32 digest, bytes calldata signature) pure returns (address) {
    if (signature.length != 65) return address(0);
    return ecrecover(digest, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
}

/// An account of one owner, who can hand it on.
contract Owned {
    address public owner;

    constructor(address first) {
        owner = first;
    }

    function handOn(address next) external {
        require(msg.sender == owner);
        owner = next;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        return signerOf(digest, signature) == owner ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// Deploys owned accounts at addresses that are known before.
contract Factory {
    function create(address owner, bytes32 salt) external returns (address) {
        return address(new Owned{salt: salt}(owner));
    }

    function addressOf(address owner, bytes32 salt) external view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(Owned).creationCode, abi.encode(owner)));
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", this, salt, code)))));
    }

    function fail() external pure {
        revert("no account today");
    }
}

/// What a key delegates to (EIP-7702) that wants another key to sign in for it.
contract Guarded {
    address public guardian;

    function guardBy(address next) external {
        require(msg.sender == address(this));
        guardian = next;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        bool right = guardian != address(0) && signerOf(digest, signature) == guardian;
        return right ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// Answers every question in one wrong way.
contract Odd {
    uint256 immutable way;

    constructor(uint256 which) {
        way = which;
    }

    fallback() external {
        uint256 which = way;
        assembly {
            mstore(0x00, shl(224, 0x1626ba7e))
            switch which
            // The magic value, as it should be: that the others are refused is for their difference alone.
            case 0 { return(0x00, 0x20) }
            // Four bytes and nothing after.
            case 1 { return(0x00, 0x04) }
            // A word more.
            case 2 { return(0x00, 0x40) }
            // Something behind the magic value.
            case 3 {
                mstore(0x00, or(shl(224, 0x1626ba7e), 1))
                return(0x00, 0x20)
            }
            // The magic value on the wrong side of the word.
            case 4 {
                mstore(0x00, 0x1626ba7e)
                return(0x00, 0x20)
            }
            // True, as another standard has it.
            case 5 {
                mstore(0x00, 1)
                return(0x00, 0x20)
            }
            // The magic value of ERC-1271's first draft.
            case 6 {
                mstore(0x00, shl(224, 0x20c13b0b))
                return(0x00, 0x20)
            }
            // Reverts with the magic value.
            case 7 { revert(0x00, 0x20) }
            // Nothing.
            case 8 { return(0x00, 0x00) }
            // Uses up all gas.
            case 9 { invalid() }
            // Writes, which a question may not.
            case 10 {
                sstore(0, 1)
                return(0x00, 0x20)
            }
            // Far more than anybody asked for.
            default { return(0x00, 0x10000) }
        }
    }
}
