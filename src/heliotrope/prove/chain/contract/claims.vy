# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Heliotrope claims
@license Apache-2.0
@notice Anchors the checkpoints of one transparency log, and mints avoided-emissions claims out of it, once each.
@dev Two sets of keys. Witnesses vouch that the log only ever grew: they sign anchors. Auditors vouch that a claim was
     recomputed from the log's records: they sign claims. Each set pauses, and rotates itself, by its own quorum.
     A claim is no offset: it is never pooled, it expires, and what is retired stays retired.

     id = method (4 bytes) | day the vintage ended (4) | day it expires (4) | serial (20)
     For every id: sum of balances + retired = proven. A fifth of what is proven is the buffer: this contract's own
     balance, which auditors retire when a claim turns out too high.
"""

interface Receiver:
    def onERC1155Received(operator: address, source: address, id: uint256, amount: uint256, data: Bytes[1024]) -> bytes4: nonpayable
    def onERC1155BatchReceived(operator: address, source: address, ids: DynArray[uint256, 32], amounts: DynArray[uint256, 32], data: Bytes[1024]) -> bytes4: nonpayable

struct Signature:
    v: uint256
    r: bytes32
    s: bytes32

# Grams of CO2e that were not emitted over [start, end), epoch seconds.
struct Claim:
    id: uint256
    grams: uint256
    owner: address
    method: bytes32
    start: uint64
    end: uint64
    expiry: uint64
    evidence: bytes32

event Anchored:
    size: indexed(uint256)
    root: bytes32

event Minted:
    id: indexed(uint256)
    owner: indexed(address)
    grams: uint256
    buffer: uint256
    evidence: bytes32

event Retired:
    id: indexed(uint256)
    by: indexed(address)
    grams: uint256
    beneficiary: String[128]
    reason: String[256]

event Corrected:
    id: indexed(uint256)
    grams: uint256
    evidence: bytes32

event Paused:
    paused: bool

event Rotated:
    role: indexed(uint256)
    members: DynArray[address, MAX_MEMBERS]
    threshold: uint256

event TransferSingle:
    operator: indexed(address)
    _from: indexed(address)
    _to: indexed(address)
    id: uint256
    value: uint256

event TransferBatch:
    operator: indexed(address)
    _from: indexed(address)
    _to: indexed(address)
    ids: DynArray[uint256, 32]
    values: DynArray[uint256, 32]

event ApprovalForAll:
    account: indexed(address)
    operator: indexed(address)
    approved: bool

WITNESSES: constant(uint256) = 0
AUDITORS: constant(uint256) = 1
MAX_MEMBERS: constant(uint256) = 16
DAY: constant(uint256) = 86400
MAX_LIFE_DAYS: constant(uint256) = 731
SIZE_BITS: constant(uint256) = 2**64 - 1
PAUSED_BIT: constant(uint256) = 2**64
ALIVE_BIT: constant(uint256) = 2**65
# The leaf's domain: no other record of the log begins so.
LEAF_TAG: constant(bytes32) = 0x68656c696f74726f70652f636c61696d2f763100000000000000000000000000  # heliotrope/claim/v1
DOMAIN_TYPE: constant(bytes32) = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
NAME_HASH: constant(bytes32) = keccak256("Heliotrope claims")
VERSION_HASH: constant(bytes32) = keccak256("1")
ANCHOR_TYPE: constant(bytes32) = keccak256("Anchor(bytes32 origin,uint256 size,bytes32 root)")
AGREE_TYPE: constant(bytes32) = keccak256("Agree(bytes32 leaf)")
PAUSE_TYPE: constant(bytes32) = keccak256("Pause(uint256 role,bool paused,uint256 nonce)")
ROTATE_TYPE: constant(bytes32) = keccak256("Rotate(uint256 role,address[] members,uint256 threshold,uint256 nonce)")
CORRECT_TYPE: constant(bytes32) = keccak256("Correct(uint256 id,uint256 grams,bytes32 evidence,uint256 nonce)")

ORIGIN: public(immutable(bytes32))

# Size of the newest anchor in the low 64 bits, then paused, then a bit that is always set so that the slot never
# costs a first write.
tip: uint256
root_at: public(HashMap[uint256, bytes32])
threshold: public(HashMap[uint256, uint256])
member: public(HashMap[uint256, HashMap[address, bool]])
members: HashMap[uint256, DynArray[address, MAX_MEMBERS]]
nonce: public(HashMap[uint256, uint256])

minted: public(HashMap[uint256, uint256])
proven: public(HashMap[uint256, uint256])
retired: public(HashMap[uint256, uint256])
retiredOf: public(HashMap[address, HashMap[uint256, uint256]])
balanceOf: public(HashMap[address, HashMap[uint256, uint256]])
isApprovedForAll: public(HashMap[address, HashMap[address, bool]])


@deploy
def __init__(
    origin: bytes32,
    witnesses: DynArray[address, MAX_MEMBERS], witness_threshold: uint256,
    auditors: DynArray[address, MAX_MEMBERS], auditor_threshold: uint256,
):
    """
    @param origin SHA-256 of the log's origin line.
    """
    ORIGIN = origin
    self.tip = ALIVE_BIT
    self._seat(WITNESSES, witnesses, witness_threshold)
    self._seat(AUDITORS, auditors, auditor_threshold)


# The log

@external
def anchor(size: uint256, root: bytes32, signatures: DynArray[Signature, MAX_MEMBERS]):
    """
    @notice Writes down a checkpoint that a quorum of witnesses signed. Sizes only rise.
    """
    tip: uint256 = self.tip
    assert tip & PAUSED_BIT == 0, "paused"
    assert size > tip & SIZE_BITS, "not newer than the last anchor"
    assert size <= SIZE_BITS, "size too large"
    self._agreed(WITNESSES, keccak256(abi_encode(ANCHOR_TYPE, ORIGIN, size, root)), signatures)
    self.tip = (tip & ~SIZE_BITS) | size
    self.root_at[size] = root
    log Anchored(size=size, root=root)


@external
@view
def size() -> uint256:
    return self.tip & SIZE_BITS


@external
@view
def paused() -> bool:
    return self._paused()


@external
@view
def includes(leaf_hash: bytes32, index: uint256, size: uint256, proof: DynArray[bytes32, 64]) -> bool:
    """
    @notice Whether an RFC 6962 leaf hash lies at `index` under the anchored tree of `size` leaves.
    """
    return self._includes(leaf_hash, index, size, proof)


# Claims

@external
@nonreentrant
def mint(claim: Claim, index: uint256, size: uint256, proof: DynArray[bytes32, 64], signatures: DynArray[Signature, MAX_MEMBERS]):
    """
    @notice Mints a claim that lies in the log under an anchored root and that a quorum of auditors agreed to.
    @dev The leaf is rebuilt from the fields, this chain and this contract: none of them can be swapped, and no leaf
         serves two chains. Anyone may send it; only its owner receives.
    """
    assert not self._paused(), "paused"
    assert claim.owner != empty(address) and claim.owner != self, "no such owner"
    assert claim.grams != 0, "nothing to mint"
    assert claim.start < claim.end and convert(claim.end, uint256) <= block.timestamp, "vintage not over"
    assert convert(claim.expiry, uint256) > block.timestamp, "expired"
    ended: uint256 = convert(claim.end, uint256) // DAY
    expires: uint256 = convert(claim.expiry, uint256) // DAY
    assert expires <= ended + MAX_LIFE_DAYS, "lives too long"
    serial: uint256 = claim.id & (2**160 - 1)
    assert claim.id == (convert(claim.method, uint256) >> 224 << 224) | (ended << 192) | (expires << 160) | serial, "id does not say what it is"
    assert self.minted[serial] == 0, "already minted"
    leaf: bytes32 = self._leaf(claim)
    assert self._includes(leaf, index, size, proof), "not in the log"
    self._agreed(AUDITORS, keccak256(abi_encode(AGREE_TYPE, leaf)), signatures)
    buffer: uint256 = (claim.grams + 4) // 5
    self.minted[serial] = claim.id
    self.proven[claim.id] = claim.grams
    self.balanceOf[claim.owner][claim.id] = claim.grams - buffer
    self.balanceOf[self][claim.id] = buffer
    log Minted(id=claim.id, owner=claim.owner, grams=claim.grams, buffer=buffer, evidence=claim.evidence)
    log TransferSingle(operator=msg.sender, _from=empty(address), _to=claim.owner, id=claim.id, value=claim.grams - buffer)
    log TransferSingle(operator=msg.sender, _from=empty(address), _to=self, id=claim.id, value=buffer)
    self._accepted(empty(address), claim.owner, claim.id, claim.grams - buffer, b"")


@external
@view
def leaf_hash(claim: Claim) -> bytes32:
    """
    @notice What the log must hold for this claim.
    """
    return self._leaf(claim)


@external
@nonreentrant
def retire(id: uint256, grams: uint256, beneficiary: String[128], reason: String[256]):
    """
    @notice Takes grams of the sender's out of circulation for good, in somebody's name, for a stated reason.
    """
    self._alive(id)
    assert grams != 0, "nothing to retire"
    assert len(beneficiary) != 0, "no beneficiary"
    assert len(reason) != 0, "no reason"
    self._retire(msg.sender, id, grams)
    log Retired(id=id, by=msg.sender, grams=grams, beneficiary=beneficiary, reason=reason)


@external
@nonreentrant
def correct(id: uint256, grams: uint256, evidence: bytes32, signatures: DynArray[Signature, MAX_MEMBERS]):
    """
    @notice Auditors retire part of a claim's buffer; `evidence` is the log's leaf that says why.
    """
    self._agreed(AUDITORS, keccak256(abi_encode(CORRECT_TYPE, id, grams, evidence, self._spend_nonce(AUDITORS))), signatures)
    self._retire(self, id, grams)
    log Corrected(id=id, grams=grams, evidence=evidence)


@external
@nonreentrant
def safeTransferFrom(source: address, to: address, id: uint256, amount: uint256, data: Bytes[1024]):
    self._may_move(source, to)
    self._move(source, to, id, amount)
    log TransferSingle(operator=msg.sender, _from=source, _to=to, id=id, value=amount)
    self._accepted(source, to, id, amount, data)


@external
@nonreentrant
def safeBatchTransferFrom(source: address, to: address, ids: DynArray[uint256, 32], amounts: DynArray[uint256, 32], data: Bytes[1024]):
    self._may_move(source, to)
    assert len(ids) == len(amounts), "ids and amounts differ in length"
    for i: uint256 in range(len(ids), bound=32):
        self._move(source, to, ids[i], amounts[i])
    log TransferBatch(operator=msg.sender, _from=source, _to=to, ids=ids, values=amounts)
    if to.is_contract:
        answer: bytes4 = extcall Receiver(to).onERC1155BatchReceived(msg.sender, source, ids, amounts, data)
        assert answer == 0xbc197c81, "receiver refused"


@external
@view
def balanceOfBatch(accounts: DynArray[address, 32], ids: DynArray[uint256, 32]) -> DynArray[uint256, 32]:
    assert len(accounts) == len(ids), "accounts and ids differ in length"
    balances: DynArray[uint256, 32] = []
    for i: uint256 in range(len(ids), bound=32):
        balances.append(self.balanceOf[accounts[i]][ids[i]])
    return balances


@external
def setApprovalForAll(operator: address, approved: bool):
    assert operator != msg.sender, "approval of oneself"
    self.isApprovedForAll[msg.sender][operator] = approved
    log ApprovalForAll(account=msg.sender, operator=operator, approved=approved)


@external
@view
def totalSupply(id: uint256) -> uint256:
    """
    @notice Grams in circulation or in the buffer.
    """
    return self.proven[id] - self.retired[id]


@external
@pure
def supportsInterface(interface_id: bytes4) -> bool:
    return interface_id == 0x01ffc9a7 or interface_id == 0xd9b67a26


# Quorums

@external
def pause(role: uint256, paused: bool, signatures: DynArray[Signature, MAX_MEMBERS]):
    """
    @notice Either quorum stops anchoring, minting, moving and retiring, and starts them again.
    """
    self._agreed(role, keccak256(abi_encode(PAUSE_TYPE, role, paused, self._spend_nonce(role))), signatures)
    self.tip = (self.tip | PAUSED_BIT) if paused else (self.tip & ~PAUSED_BIT)
    log Paused(paused=paused)


@external
def rotate(role: uint256, members: DynArray[address, MAX_MEMBERS], threshold: uint256, signatures: DynArray[Signature, MAX_MEMBERS]):
    """
    @notice The present quorum of a role seats its successors, also while paused.
    """
    listed: bytes32 = keccak256(slice(abi_encode(members), 64, 32 * len(members)))
    self._agreed(role, keccak256(abi_encode(ROTATE_TYPE, role, listed, threshold, self._spend_nonce(role))), signatures)
    for old: address in self.members[role]:
        self.member[role][old] = False
    self._seat(role, members, threshold)


@external
@view
def members_of(role: uint256) -> DynArray[address, MAX_MEMBERS]:
    return self.members[role]


@internal
def _seat(role: uint256, members: DynArray[address, MAX_MEMBERS], threshold: uint256):
    # More than half: two quorums always share a member.
    assert threshold <= len(members) and 2 * threshold > len(members), "threshold must be more than half, at most all"
    last: uint256 = 0
    for one: address in members:
        assert convert(one, uint256) > last, "members must ascend"
        last = convert(one, uint256)
        self.member[role][one] = True
    self.members[role] = members
    self.threshold[role] = threshold
    log Rotated(role=role, members=members, threshold=threshold)


@internal
@view
def _agreed(role: uint256, struct_hash: bytes32, signatures: DynArray[Signature, MAX_MEMBERS]):
    threshold: uint256 = self.threshold[role]
    assert threshold != 0, "no such role"
    assert len(signatures) >= threshold, "too few signatures"
    domain: bytes32 = keccak256(abi_encode(DOMAIN_TYPE, NAME_HASH, VERSION_HASH, chain.id, self))
    digest: bytes32 = keccak256(concat(b"\x19\x01", domain, struct_hash))
    last: uint256 = 0
    for signature: Signature in signatures:
        signer: address = ecrecover(digest, signature.v, signature.r, signature.s)
        # Ascending, so nobody counts twice; a signature that recovers nobody gives 0.
        assert convert(signer, uint256) > last, "signers must ascend"
        assert self.member[role][signer], "not a member"
        last = convert(signer, uint256)


@internal
def _spend_nonce(role: uint256) -> uint256:
    nonce: uint256 = self.nonce[role]
    self.nonce[role] = nonce + 1
    return nonce


@internal
@view
def _paused() -> bool:
    return self.tip & PAUSED_BIT != 0


# RFC 6962

@internal
@view
def _leaf(claim: Claim) -> bytes32:
    return sha256(concat(
        b"\x00", LEAF_TAG,
        abi_encode(
            chain.id, self, claim.id, claim.grams, claim.owner, claim.method,
            claim.start, claim.end, claim.expiry, claim.evidence,
        ),
    ))


@internal
@view
def _includes(leaf: bytes32, index: uint256, size: uint256, proof: DynArray[bytes32, 64]) -> bool:
    root: bytes32 = self.root_at[size]
    if root == empty(bytes32) or index >= size:
        return False
    node: bytes32 = leaf
    at: uint256 = index
    last: uint256 = size - 1
    for sibling: bytes32 in proof:
        if last == 0:
            return False
        if at & 1 == 1 or at == last:
            node = sha256(concat(b"\x01", sibling, node))
            for _: uint256 in range(64):
                if at & 1 == 1 or at == 0:
                    break
                at >>= 1
                last >>= 1
        else:
            node = sha256(concat(b"\x01", node, sibling))
        at >>= 1
        last >>= 1
    return last == 0 and node == root


# Balances

@internal
@view
def _alive(id: uint256):
    assert not self._paused(), "paused"
    assert ((id >> 160) & (2**32 - 1)) * DAY > block.timestamp, "expired"


@internal
@view
def _may_move(source: address, to: address):
    assert to != empty(address) and to != self, "no such owner"
    assert source == msg.sender or self.isApprovedForAll[source][msg.sender], "not yours to move"


@internal
def _move(source: address, to: address, id: uint256, amount: uint256):
    self._alive(id)
    assert self.balanceOf[source][id] >= amount, "balance too low"
    self.balanceOf[source][id] -= amount
    self.balanceOf[to][id] += amount


@internal
def _retire(holder: address, id: uint256, grams: uint256):
    assert self.balanceOf[holder][id] >= grams, "balance too low"
    self.balanceOf[holder][id] -= grams
    self.retiredOf[holder][id] += grams
    self.retired[id] += grams
    log TransferSingle(operator=msg.sender, _from=holder, _to=empty(address), id=id, value=grams)


@internal
def _accepted(source: address, to: address, id: uint256, amount: uint256, data: Bytes[1024]):
    if to.is_contract:
        answer: bytes4 = extcall Receiver(to).onERC1155Received(msg.sender, source, id, amount, data)
        assert answer == 0xf23a6e61, "receiver refused"
