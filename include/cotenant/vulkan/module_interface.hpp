// ModuleInterface: what a SPIR-V module that somebody else compiled expects of whoever runs it, read from its words.
#ifndef COTENANT_VULKAN_MODULE_INTERFACE_HPP
#define COTENANT_VULKAN_MODULE_INTERFACE_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/vulkan/module_text.hpp"

namespace cotenant::vulkan {

struct ModuleInterface {
  std::uint32_t version = 0;                           // as in the header: 0x00010300 is 1.3
  std::array<std::uint32_t, 3> workgroup{};            // invocations
  std::array<std::int64_t, 3> workgroup_constants{-1, -1, -1};  // specialization constants that change it; -1: fixed
  std::map<std::uint32_t, bool> bindings;              // of set 0: whether the kernel may write to it
  std::set<std::uint32_t> written;                     // those that it has an instruction to write to
  std::size_t push_constant_bytes = 0, shared_bytes = 0;
  std::vector<spirv::Capability> capabilities;

  // Errors: InvalidArgument, which says what is wrong with the words.
  static ModuleInterface read(std::span<const std::uint32_t> words, std::string_view entry_point);
};

namespace detail {

// Goes over the instructions once; what is named before it is defined is looked up afterwards.
class ModuleReader final : ModuleText {
 public:
  ModuleReader(std::span<const std::uint32_t> words, std::string_view entry_point) : ModuleText(words), entry_point_(entry_point) {}

  ModuleInterface read() {
    found_.version = words_[1];
    for (const Instruction& one : instructions_) instruction(one);
    return finish();
  }

 private:
  using Decoration = spirv::Decoration;
  using StorageClass = spirv::StorageClass;

  // Of words that end with a zero byte.
  static std::string text(std::span<const std::uint32_t> words) {
    std::string result;
    for (const std::uint32_t word : words)
      for (int byte = 0; byte < 4; ++byte) {
        const char c = static_cast<char>(word >> (8 * byte) & 0xff);
        if (c == '\0') return result;
        result += c;
      }
    return result;
  }
  void instruction(const Instruction& one) {
    const auto& x = one.operands;
    at_ = one.at;
    const auto mode = [&](spirv::ExecutionMode wanted) {
      if (x[1] != static_cast<std::uint32_t>(wanted)) return false;
      if (x.size() < 5) fail("the size of a workgroup is too short");
      return true;
    };
    switch (one.op) {
      case Op::Capability: found_.capabilities.push_back(static_cast<spirv::Capability>(x[0])); break;
      case Op::EntryPoint:
        ++entry_points_;
        if (text(x.subspan(2)) != entry_point_) break;
        if (x[0] != static_cast<std::uint32_t>(spirv::ExecutionModel::GLCompute))
          refuse("its entry point '" + std::string(entry_point_) + "' is not a compute kernel");
        entry_ = x[1];
        break;
      case Op::ExecutionMode: if (mode(spirv::ExecutionMode::LocalSize)) sizes_[x[0]] = {x[2], x[3], x[4]}; break;
      case Op::ExecutionModeId: if (mode(spirv::ExecutionMode::LocalSizeId)) size_ids_[x[0]] = {x[2], x[3], x[4]}; break;
      case Op::Decorate: decorate(x); break;
      case Op::Store: case Op::CopyMemory: case Op::AtomicStore: case Op::AtomicExchange: case Op::AtomicCompareExchange: case Op::CooperativeMatrixStoreKHR:
      case Op::CooperativeMatrixStoreTensorNV: stores_.push_back(&one); break;
      case Op::FunctionCall: calls_.emplace(one.function, x[0]); break;
      case Op::MemberDecorate:
        if (x[2] == static_cast<std::uint32_t>(Decoration::Offset) && x.size() > 3) offsets_[{x[0], x[1]}] = x[3];
        if (x[2] == static_cast<std::uint32_t>(Decoration::NonWritable)) ++read_only_members_[x[0]];
        break;
      default:
        if (one.op >= Op::AtomicIIncrement && one.op <= Op::AtomicXor) stores_.push_back(&one);
    }
  }
  void decorate(std::span<const std::uint32_t> x) {
    const std::uint32_t value = x.size() > 2 ? x[2] : 0;
    switch (static_cast<Decoration>(x[1])) {
      case Decoration::Binding: bindings_[x[0]] = value; break;
      case Decoration::DescriptorSet: sets_[x[0]] = value; break;
      case Decoration::SpecId: specializations_[x[0]] = value; break;
      case Decoration::NonWritable: read_only_.insert(x[0]); break;
      case Decoration::BufferBlock: storage_blocks_.insert(x[0]); break;
      case Decoration::BuiltIn: if (value == static_cast<std::uint32_t>(spirv::BuiltIn::WorkgroupSize)) workgroup_size_ = x[0]; break;
      default: break;
    }
  }
  // Its value, or that which it has as long as nobody specializes it; null where it is no number.
  const std::uint32_t* constant(std::uint32_t id) const {
    const Instruction* const found = definition(id);
    return found != nullptr && (found->op == Op::Constant || found->op == Op::SpecConstant) ? found->operands.data() : nullptr;
  }

  // Bytes of a type as it lies in memory without padding; 0 for what has no size.
  std::size_t size_of(std::uint32_t id, int depth = 0) const {
    const Instruction* const type = definition(id);
    if (type == nullptr || depth > 16) return 0;
    const auto& x = type->operands;
    switch (type->op) {
      case Op::TypeBool: return 4;
      case Op::TypeInt: case Op::TypeFloat: return x[0] / 8;
      case Op::TypeVector: case Op::TypeMatrix: return size_of(x[0], depth + 1) * x[1];
      case Op::TypeArray: {
        const std::uint32_t* const length = constant(x[1]);
        return length == nullptr ? 0 : size_of(x[0], depth + 1) * *length;
      }
      case Op::TypeStruct: {
        std::size_t total = 0;
        for (std::uint32_t member = 0; member < x.size(); ++member) {
          const std::size_t bytes = size_of(x[member], depth + 1);
          const auto offset = offsets_.find({id, member});
          total = offset == offsets_.end() ? total + bytes : std::max(total, offset->second + bytes);
        }
        return total;
      }
      case Op::TypePointer: return 8;
      default: return 0;
    }
  }

  ModuleInterface finish() {
    if (entry_ == 0) refuse("it has no entry point '" + std::string(entry_point_) + "'");
    if (count(Op::Label) == 0) refuse("it has no code");
    workgroup();
    reach();
    for (const Instruction* const store : stores_) if (reached_.count(store->function) > 0) written_.insert(variable_of(store->operands[0]));
    const std::set<std::uint32_t> used = used_variables();
    for (const Instruction& one : instructions_) {
      if (one.op != Op::Variable || (entry_points_ > 1 && used.count(one.result) == 0)) continue;
      const Instruction* const pointer = definition(one.type);
      const std::uint32_t pointee = pointer == nullptr || pointer->op != Op::TypePointer ? 0 : pointer->operands[1];
      switch (static_cast<StorageClass>(one.operands[0])) {
        case StorageClass::PushConstant: found_.push_constant_bytes = std::max(found_.push_constant_bytes, size_of(pointee)); break;
        case StorageClass::Workgroup: found_.shared_bytes += size_of(pointee); break;
        case StorageClass::StorageBuffer: case StorageClass::Uniform: buffer(one, pointee); break;
        case StorageClass::UniformConstant: refuse("it uses images, samplers or uniform constants: a kernel here works on storage buffers");
        default: break;
      }
    }
    return std::move(found_);
  }
  // Functions that the entry point calls, itself included.
  void reach() {
    for (std::vector<std::uint32_t> next{entry_}; !next.empty();) {
      const Instruction* const found = definition(next.back());
      next.pop_back();
      if (found == nullptr || found->op != Op::Function || !reached_.insert(found->function).second) continue;
      const auto [first, last] = calls_.equal_range(found->function);
      for (auto call = first; call != last; ++call) next.push_back(call->second);
    }
  }
  // What these functions name: of a module with several entry points the others' variables are nothing to this one.
  std::set<std::uint32_t> used_variables() const {
    std::set<std::uint32_t> used;
    for (const Instruction& one : instructions_)
      if (reached_.count(one.function) > 0) for (const Use& use : one.uses) used.insert(use.id);
    return used;
  }
  // Whose elements a pointer points to; the pointer itself where that is not known.
  std::uint32_t variable_of(std::uint32_t pointer) const {
    for (int depth = 0; depth < 16; ++depth) {
      const Instruction* const from = definition(pointer);
      if (from == nullptr || !((from->op >= Op::AccessChain && from->op <= Op::PtrAccessChain) || from->op == Op::InBoundsPtrAccessChain ||
                               from->op == Op::CopyObject))
        break;
      pointer = from->operands[0];
    }
    return pointer;
  }
  void buffer(const Instruction& variable, std::uint32_t pointee) {
    const auto binding = bindings_.find(variable.result);
    if (binding == bindings_.end()) refuse("one of its buffers has no binding");
    const auto set = sets_.find(variable.result);
    if (set != sets_.end() && set->second != 0)
      refuse("the buffer of binding " + std::to_string(binding->second) + " is in descriptor set " + std::to_string(set->second) + "; only set 0 is there");
    const Instruction* const type = definition(pointee);
    if (type != nullptr && (type->op == Op::TypeArray || type->op == Op::TypeRuntimeArray))
      refuse("binding " + std::to_string(binding->second) + " is an array of buffers: declare each as a buffer of its own");
    // Storage buffers of SPIR-V before 1.3, and of compilers of HLSL.
    if (storage_blocks_.count(pointee) > 0 && found_.version > spirv::version(1, 3))
      refuse("the buffer of binding " + std::to_string(binding->second) + " is a BufferBlock, which SPIR-V has up to version 1.3: compile it for Vulkan 1.1");
    if (variable.operands[0] == static_cast<std::uint32_t>(StorageClass::Uniform) && storage_blocks_.count(pointee) == 0)
      refuse("the buffer of binding " + std::to_string(binding->second) + " is a uniform buffer: declare it as a storage buffer");
    const auto members = read_only_members_.find(pointee);
    const bool read_only =
        read_only_.count(variable.result) > 0 || (type != nullptr && members != read_only_members_.end() && members->second >= type->operands.size());
    bool& writes = found_.bindings[binding->second];
    writes = writes || !read_only;
    if (written_.count(variable.result) > 0) found_.written.insert(binding->second);
  }
  void workgroup() {
    std::array<std::uint32_t, 3> ids{};
    if (const Instruction* const size = definition(workgroup_size_);
        size != nullptr && (size->op == Op::ConstantComposite || size->op == Op::SpecConstantComposite) && size->operands.size() == 3)
      std::copy(size->operands.begin(), size->operands.end(), ids.begin());
    else if (const auto modes = size_ids_.find(entry_); modes != size_ids_.end()) ids = modes->second;
    else if (const auto fixed = sizes_.find(entry_); fixed != sizes_.end()) found_.workgroup = fixed->second;
    else refuse("its entry point does not say how large a workgroup is");
    for (std::size_t axis = 0; axis < 3 && ids[0] != 0; ++axis) {
      const std::uint32_t* const extent = constant(ids[axis]);
      if (extent == nullptr) refuse("the size of its workgroup is not a constant");
      found_.workgroup[axis] = *extent;
      if (const auto special = specializations_.find(ids[axis]); special != specializations_.end()) found_.workgroup_constants[axis] = special->second;
    }
    for (const std::uint32_t extent : found_.workgroup) if (extent == 0) refuse("its workgroup has an extent of 0");
  }

  std::string_view entry_point_;
  ModuleInterface found_;
  std::uint32_t entry_ = 0, workgroup_size_ = 0;
  std::map<std::uint32_t, std::uint32_t> bindings_, sets_, specializations_;
  std::map<std::uint32_t, std::size_t> read_only_members_;
  std::map<std::uint32_t, std::array<std::uint32_t, 3>> sizes_, size_ids_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> offsets_;
  std::set<std::uint32_t> read_only_, storage_blocks_, written_;
  std::vector<const Instruction*> stores_;
  std::multimap<std::size_t, std::uint32_t> calls_;  // from function number to function
  std::set<std::size_t> reached_;
  std::size_t entry_points_ = 0;
};
}  // namespace detail

inline ModuleInterface ModuleInterface::read(std::span<const std::uint32_t> words, std::string_view entry_point) {
  return detail::ModuleReader(words, entry_point).read();
}

}  // namespace cotenant::vulkan

#endif
