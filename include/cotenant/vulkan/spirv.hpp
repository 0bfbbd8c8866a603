// Numbers of the SPIR-V specification (1.6 and extensions), by the specification's names; only what is emitted or accepted here.
#ifndef COTENANT_VULKAN_SPIRV_HPP
#define COTENANT_VULKAN_SPIRV_HPP
#include <cstdint>
#include <vector>

namespace cotenant::vulkan::spirv {

using Id = std::uint32_t;
using Words = std::vector<std::uint32_t>;

inline constexpr std::uint32_t magic_number = 0x07230203;
// The version's place in a module's header.
constexpr std::uint32_t version(std::uint32_t major, std::uint32_t minor) { return major << 16 | minor << 8; }

enum class Op : std::uint16_t {
  Nop = 0, Undef = 1, SourceContinued = 2, Source = 3, SourceExtension = 4, Name = 5, MemberName = 6, String = 7, Line = 8, Extension = 10,
  ExtInstImport = 11, ExtInst = 12, MemoryModel = 14, EntryPoint = 15, ExecutionMode = 16, Capability = 17, TypeVoid = 19, TypeBool = 20,
  TypeInt = 21, TypeFloat = 22, TypeVector = 23, TypeMatrix = 24, TypeArray = 28, TypeRuntimeArray = 29, TypeStruct = 30, TypePointer = 32,
  TypeFunction = 33, TypeForwardPointer = 39, ConstantTrue = 41, ConstantFalse = 42, Constant = 43, ConstantComposite = 44, ConstantNull = 46,
  SpecConstantTrue = 48, SpecConstantFalse = 49, SpecConstant = 50, SpecConstantComposite = 51, SpecConstantOp = 52, Function = 54,
  FunctionParameter = 55, FunctionEnd = 56, FunctionCall = 57, Variable = 59, Load = 61, Store = 62, CopyMemory = 63, AccessChain = 65,
  InBoundsAccessChain = 66, PtrAccessChain = 67, ArrayLength = 68, InBoundsPtrAccessChain = 70, Decorate = 71, MemberDecorate = 72,
  DecorationGroup = 73, GroupDecorate = 74, GroupMemberDecorate = 75, VectorExtractDynamic = 77, VectorInsertDynamic = 78, VectorShuffle = 79,
  CompositeConstruct = 80, CompositeExtract = 81, CompositeInsert = 82, CopyObject = 83, Transpose = 84, ConvertFToU = 109, ConvertFToS = 110,
  ConvertSToF = 111, ConvertUToF = 112, UConvert = 113, SConvert = 114, FConvert = 115, QuantizeToF16 = 116, ConvertPtrToU = 117,
  ConvertUToPtr = 120, Bitcast = 124, SNegate = 126, FNegate = 127, IAdd = 128, FAdd = 129, ISub = 130, FSub = 131, IMul = 132, FMul = 133,
  UDiv = 134, SDiv = 135, FDiv = 136, UMod = 137, SRem = 138, SMod = 139, FRem = 140, FMod = 141, VectorTimesScalar = 142, MatrixTimesScalar = 143,
  Dot = 148, UMulExtended = 151, SMulExtended = 152, Any = 154, All = 155, IsNan = 156, IsInf = 157, LogicalEqual = 164, LogicalNotEqual = 165,
  LogicalOr = 166, LogicalAnd = 167, LogicalNot = 168, Select = 169, IEqual = 170, INotEqual = 171, UGreaterThan = 172, SGreaterThan = 173,
  UGreaterThanEqual = 174, SGreaterThanEqual = 175, ULessThan = 176, SLessThan = 177, ULessThanEqual = 178, SLessThanEqual = 179, FOrdEqual = 180,
  FUnordNotEqual = 183, FOrdLessThan = 184, FOrdGreaterThan = 186, FOrdLessThanEqual = 188, FOrdGreaterThanEqual = 190,
  FUnordGreaterThanEqual = 191, ShiftRightLogical = 194, ShiftRightArithmetic = 195, ShiftLeftLogical = 196, BitwiseOr = 197, BitwiseXor = 198,
  BitwiseAnd = 199, Not = 200, BitFieldInsert = 201, BitFieldSExtract = 202, BitFieldUExtract = 203, BitReverse = 204, BitCount = 205,
  ControlBarrier = 224, MemoryBarrier = 225, AtomicLoad = 227, AtomicStore = 228, AtomicExchange = 229, AtomicCompareExchange = 230,
  AtomicIIncrement = 232, AtomicIDecrement = 233, AtomicIAdd = 234, AtomicSMax = 238, AtomicUMax = 239, AtomicAnd = 240, AtomicOr = 241,
  AtomicXor = 242, Phi = 245, LoopMerge = 246, SelectionMerge = 247, Label = 248, Branch = 249, BranchConditional = 250, Switch = 251, Kill = 252,
  Return = 253, ReturnValue = 254, Unreachable = 255, NoLine = 317, ModuleProcessed = 330, ExecutionModeId = 331, DecorateId = 332,
  GroupNonUniformElect = 333, GroupNonUniformAll = 334, GroupNonUniformAny = 335, GroupNonUniformAllEqual = 336, GroupNonUniformBroadcast = 337,
  GroupNonUniformBroadcastFirst = 338, GroupNonUniformBallot = 339, GroupNonUniformInverseBallot = 340, GroupNonUniformBallotBitExtract = 341,
  GroupNonUniformBallotBitCount = 342, GroupNonUniformBallotFindLSB = 343, GroupNonUniformBallotFindMSB = 344, GroupNonUniformShuffle = 345,
  GroupNonUniformShuffleXor = 346, GroupNonUniformShuffleDown = 348, GroupNonUniformIAdd = 349, GroupNonUniformFAdd = 350,
  GroupNonUniformFMul = 352, GroupNonUniformSMin = 353, GroupNonUniformUMin = 354, GroupNonUniformFMin = 355, GroupNonUniformSMax = 356,
  GroupNonUniformUMax = 357, GroupNonUniformFMax = 358, GroupNonUniformLogicalAnd = 362, GroupNonUniformLogicalXor = 364, CopyLogical = 400,
  PtrEqual = 401, PtrDiff = 403, TerminateInvocation = 4416, SDot = 4450, UDot = 4451, SUDot = 4452, SDotAccSat = 4453, SUDotAccSat = 4455,
  // SPV_KHR_cooperative_matrix
  TypeCooperativeMatrixKHR = 4456, CooperativeMatrixLoadKHR = 4457, CooperativeMatrixStoreKHR = 4458, CooperativeMatrixMulAddKHR = 4459,
  CooperativeMatrixLengthKHR = 4460,
  // SPV_NV_cooperative_matrix2, SPV_NV_tensor_addressing
  CooperativeMatrixLoadTensorNV = 5367, CooperativeMatrixStoreTensorNV = 5368, TypeTensorLayoutNV = 5370, TypeTensorViewNV = 5371,
  CreateTensorLayoutNV = 5372, TensorLayoutSetDimensionNV = 5373, TensorLayoutSetStrideNV = 5374, TensorLayoutSliceNV = 5375,
  CreateTensorViewNV = 5377,
  // SPV_GOOGLE_decorate_string
  DecorateString = 5632, MemberDecorateString = 5633,
};

enum class Capability : std::uint32_t {
  Matrix = 0, Shader = 1, Float16 = 9, Float64 = 10, Int64 = 11, Int16 = 22, Int8 = 39,
  GroupNonUniform = 61, GroupNonUniformVote = 62, GroupNonUniformArithmetic = 63, GroupNonUniformBallot = 64, GroupNonUniformShuffle = 65,
  GroupNonUniformShuffleRelative = 66, StorageBuffer16BitAccess = 4433, UniformAndStorageBuffer16BitAccess = 4434, StorageBuffer8BitAccess = 4448,
  UniformAndStorageBuffer8BitAccess = 4449, DenormPreserve = 4464, SignedZeroInfNanPreserve = 4466, RoundingModeRTE = 4467,
  BFloat16TypeKHR = 5116, BFloat16CooperativeMatrixKHR = 5118, VulkanMemoryModel = 5345, PhysicalStorageBufferAddresses = 5347,
  CooperativeMatrixConversionsNV = 5431, CooperativeMatrixTensorAddressesNV = 5433, TensorAddressingNV = 5439,
  DotProductInputAll = 6016, DotProductInput4x8Bit = 6017, DotProductInput4x8BitPacked = 6018, DotProduct = 6019, CooperativeMatrixKHR = 6022,
};

enum class StorageClass : std::uint32_t {
  UniformConstant = 0, Input = 1, Uniform = 2, Output = 3, Workgroup = 4, Function = 7, Generic = 8, PushConstant = 9, StorageBuffer = 12,
  PhysicalStorageBuffer = 5349
};
enum class AddressingModel : std::uint32_t { Logical = 0, PhysicalStorageBuffer64 = 5348 };
enum class MemoryModel : std::uint32_t { GLSL450 = 1, Vulkan = 3 };
enum class ExecutionModel : std::uint32_t { GLCompute = 5 };
enum class ExecutionMode : std::uint32_t {
  LocalSize = 17, LocalSizeId = 38, DenormPreserve = 4459, SignedZeroInfNanPreserve = 4461, RoundingModeRTE = 4462
};
enum class Decoration : std::uint32_t {
  RelaxedPrecision = 0, SpecId = 1, Block = 2, BufferBlock = 3, RowMajor = 4, ColMajor = 5, ArrayStride = 6, MatrixStride = 7, BuiltIn = 11, Invariant = 18,
  Restrict = 19, Aliased = 20, Volatile = 21, Coherent = 23, NonWritable = 24, NonReadable = 25, Uniform = 26, Binding = 33, DescriptorSet = 34, Offset = 35,
  FPRoundingMode = 39, NoContraction = 42, Alignment = 44, NoSignedWrap = 4469, NoUnsignedWrap = 4470, RestrictPointer = 5355, AliasedPointer = 5356,
  CounterBuffer = 5634, UserSemantic = 5635, UserTypeGOOGLE = 5636
};
enum class BuiltIn : std::uint32_t {
  NumWorkgroups = 24, WorkgroupSize = 25, WorkgroupId = 26, LocalInvocationId = 27, GlobalInvocationId = 28, LocalInvocationIndex = 29, SubgroupSize = 36,
  NumSubgroups = 38, SubgroupId = 40, SubgroupLocalInvocationId = 41, SubgroupEqMask = 4416, SubgroupGeMask = 4417, SubgroupGtMask = 4418,
  SubgroupLeMask = 4419, SubgroupLtMask = 4420
};
enum class Scope : std::uint32_t { Device = 1, Workgroup = 2, Subgroup = 3, QueueFamily = 5 };
enum class GroupOperation : std::uint32_t { Reduce = 0, InclusiveScan = 1, ExclusiveScan = 2 };
enum class LoopControl : std::uint32_t { None = 0, Unroll = 1, DontUnroll = 2 };
enum class FunctionControl : std::uint32_t { None = 0 };
enum class CooperativeMatrixUse : std::uint32_t { MatrixA = 0, MatrixB = 1, MatrixAccumulator = 2 };
enum class CooperativeMatrixLayout : std::uint32_t { RowMajor = 0, ColumnMajor = 1 };
enum class FPEncoding : std::uint32_t { BFloat16KHR = 0 };

// Masks.
namespace memory_semantics {
inline constexpr std::uint32_t None = 0, AcquireRelease = 0x8, UniformMemory = 0x40, WorkgroupMemory = 0x100;
}
namespace memory_access {
inline constexpr std::uint32_t Volatile = 0x1, Aligned = 0x2, MakePointerAvailable = 0x8, MakePointerVisible = 0x10, NonPrivatePointer = 0x20;
}
namespace cooperative_matrix_operands {
inline constexpr std::uint32_t MatrixASignedComponents = 0x1, MatrixBSignedComponents = 0x2, MatrixCSignedComponents = 0x4, MatrixResultSignedComponents = 0x8,
                               SaturatingAccumulation = 0x10;
}

// Instructions of the extended set "GLSL.std.450".
enum class Glsl : std::uint32_t {
  RoundEven = 2, Trunc = 3, FAbs = 4, SAbs = 5, Floor = 8, Ceil = 9, Sin = 13, Cos = 14, Tanh = 21, Exp = 27, Log = 28, Exp2 = 29, Log2 = 30, Sqrt = 31,
  InverseSqrt = 32,
  FMin = 37, UMin = 38, SMin = 39, FMax = 40, UMax = 41, SMax = 42, Fma = 50, PackHalf2x16 = 58, UnpackHalf2x16 = 62, FindUMsb = 75, NMin = 79, NMax = 80
};

}  // namespace cotenant::vulkan::spirv

#endif
