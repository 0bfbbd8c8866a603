// ModuleInterface: what a SPIR-V module that somebody else compiled expects of whoever runs it, read from its words.
#ifndef COTENANT_VULKAN_MODULE_INTERFACE_HPP
#define COTENANT_VULKAN_MODULE_INTERFACE_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cotenant/core/error.hpp"

namespace cotenant::vulkan {

struct ModuleInterface {
  std::uint32_t version = 0;                           // as in the header: 0x00010300 is 1.3
  std::array<std::uint32_t, 3> workgroup{};            // invocations
  std::array<std::int64_t, 3> workgroup_constants{-1, -1, -1};  // specialization constants that change it; -1: fixed
  std::map<std::uint32_t, bool> bindings;              // of set 0: whether the kernel may write to it
  std::size_t push_constant_bytes = 0, shared_bytes = 0;
  std::vector<std::uint32_t> capabilities;             // by their numbers in the specification

  // Errors: InvalidArgument, which says what is wrong with the words.
  static ModuleInterface read(std::span<const std::uint32_t> words, std::string_view entry_point);
};

namespace detail {

// One pass over the instructions, numbers as in the SPIR-V specification (section 3).
class ModuleReader {
 public:
  ModuleReader(std::span<const std::uint32_t> words, std::string_view entry_point) : words_(words), entry_point_(entry_point) { header(); }

  ModuleInterface read() {
    for (std::size_t at = 5; at < words_.size();) {
      const std::uint32_t length = words_[at] >> 16, op = words_[at] & 0xffff;
      if (length == 0 || length > words_.size() - at) fail("the instruction at word " + std::to_string(at) + " has a length of " + std::to_string(length) + " words");
      instruction(op, words_.subspan(at + 1, length - 1));
      at += length;
    }
    return finish();
  }

 private:
  struct Type {
    std::uint32_t op = 0;
    std::vector<std::uint32_t> operands;
  };
  struct Variable {
    std::uint32_t id, pointer, storage;
  };
  [[noreturn]] static void fail(const std::string& what) { raise<InvalidArgument>("this is no SPIR-V module that can be run: " + what); }

  void header() {
    constexpr std::uint32_t magic = 0x07230203, swapped = 0x03022307;
    if (words_.size() < 5) fail("it has " + std::to_string(words_.size()) + " words, fewer than the five of a header");
    if (words_[0] == swapped) fail("its bytes are in the other order");
    if (words_[0] != magic) fail("it does not begin with the magic number 0x07230203");
    if (words_[1] < 0x00010000 || words_[1] > 0x00010600) fail("its version is unknown");
    if (words_[3] == 0 || words_[3] > 0x3fffff) fail("its bound of ids is " + std::to_string(words_[3]));
    if (words_[4] != 0) fail("its schema is not 0");
    found_.version = words_[1];
  }
  static void need(std::span<const std::uint32_t> operands, std::size_t count, const char* name) { if (operands.size() < count) fail(std::string(name) + " is too short"); }
  static std::string text(std::span<const std::uint32_t> words) {
    std::string result;
    for (const std::uint32_t word : words)
      for (int byte = 0; byte < 4; ++byte) {
        const char c = static_cast<char>(word >> (8 * byte) & 0xff);
        if (c == '\0') return result;
        result += c;
      }
    fail("a name does not end");
  }

  void instruction(std::uint32_t op, std::span<const std::uint32_t> x) {
    switch (op) {
      case 17: need(x, 1, "OpCapability"), found_.capabilities.push_back(x[0]); break;
      case 15:  // OpEntryPoint
        need(x, 3, "OpEntryPoint");
        if (text(x.subspan(2)) != entry_point_) break;
        if (x[0] != 5) fail("its entry point '" + std::string(entry_point_) + "' is not a compute kernel");
        entry_ = x[1];
        break;
      case 16:  // OpExecutionMode, LocalSize
        need(x, 2, "OpExecutionMode");
        if (x[1] == 17) need(x, 5, "LocalSize"), sizes_[x[0]] = {x[2], x[3], x[4]};
        break;
      case 331:  // OpExecutionModeId, LocalSizeId
        need(x, 2, "OpExecutionModeId");
        if (x[1] == 38) need(x, 5, "LocalSizeId"), size_ids_[x[0]] = {x[2], x[3], x[4]};
        break;
      case 71:  // OpDecorate
        need(x, 2, "OpDecorate");
        decorate(x);
        break;
      case 72:  // OpMemberDecorate
        need(x, 3, "OpMemberDecorate");
        if (x[2] == 35) need(x, 4, "Offset"), offsets_[{x[0], x[1]}] = x[3];
        if (x[2] == 24) ++read_only_members_[x[0]];
        break;
      case 20: case 21: case 22: case 23: case 24: case 28: case 29: case 30: case 32:  // types of which data are made
        need(x, 1, "a type");
        types_[x[0]] = {op, {x.begin() + 1, x.end()}};
        break;
      case 43: case 50: need(x, 3, "a constant"), constants_[x[1]] = x[2]; break;  // OpConstant, OpSpecConstant
      case 44: case 51:                                                             // composites
        need(x, 2, "a composite");
        composites_[x[1]] = {x.begin() + 2, x.end()};
        break;
      case 59: need(x, 3, "OpVariable"), variables_.push_back({x[1], x[0], x[2]}); break;
      case 248: has_code_ = true; break;  // OpLabel
      default: break;
    }
  }
  void decorate(std::span<const std::uint32_t> x) {
    const std::uint32_t decoration = x[1], value = x.size() > 2 ? x[2] : 0;
    if (decoration == 33) bindings_[x[0]] = value;
    else if (decoration == 34) sets_[x[0]] = value;
    else if (decoration == 1) specializations_[x[0]] = value;
    else if (decoration == 24) read_only_.insert(x[0]);
    else if (decoration == 11 && value == 25) workgroup_size_ = x[0];  // BuiltIn WorkgroupSize
  }

  // Bytes of a type as it lies in memory without padding; 0 for what has no size.
  std::size_t size_of(std::uint32_t id, int depth = 0) const {
    const auto found = types_.find(id);
    if (found == types_.end() || depth > 16) return 0;
    const Type& type = found->second;
    const auto operand = [&](std::size_t i) { return i < type.operands.size() ? type.operands[i] : 0; };
    switch (type.op) {
      case 20: return 4;
      case 21: case 22: return operand(0) / 8;
      case 23: case 24: return size_of(operand(0), depth + 1) * operand(1);
      case 28: {
        const auto length = constants_.find(operand(1));
        return length == constants_.end() ? 0 : size_of(operand(0), depth + 1) * length->second;
      }
      case 30: {
        std::size_t total = 0;
        for (std::uint32_t member = 0; member < type.operands.size(); ++member) {
          const std::size_t bytes = size_of(type.operands[member], depth + 1);
          const auto offset = offsets_.find({id, member});
          total = offset == offsets_.end() ? total + bytes : std::max(total, offset->second + bytes);
        }
        return total;
      }
      case 32: return 8;
      default: return 0;
    }
  }

  ModuleInterface finish() {
    if (entry_ == 0) fail("it has no entry point '" + std::string(entry_point_) + "'");
    if (!has_code_) fail("it has no code");
    workgroup();
    for (const Variable& variable : variables_) {
      const auto pointer = types_.find(variable.pointer);
      const std::uint32_t pointee = pointer == types_.end() || pointer->second.operands.size() < 2 ? 0 : pointer->second.operands[1];
      if (variable.storage == 9) found_.push_constant_bytes = std::max(found_.push_constant_bytes, size_of(pointee));
      else if (variable.storage == 4) found_.shared_bytes += size_of(pointee);
      else if (variable.storage == 12 || variable.storage == 2) buffer(variable, pointee);
      else if (variable.storage == 0) fail("it uses images, samplers or uniform constants: a kernel here works on storage buffers");
    }
    return std::move(found_);
  }
  void buffer(const Variable& variable, std::uint32_t pointee) {
    const auto binding = bindings_.find(variable.id);
    if (binding == bindings_.end()) fail("one of its buffers has no binding");
    const auto set = sets_.find(variable.id);
    if (set != sets_.end() && set->second != 0) fail("the buffer of binding " + std::to_string(binding->second) + " is in descriptor set " + std::to_string(set->second) + "; only set 0 is there");
    if (variable.storage == 2 && bindings_.size() > 0 && found_.version >= 0x00010300)
      fail("the buffer of binding " + std::to_string(binding->second) + " is a uniform buffer: declare it as a storage buffer");
    const auto type = types_.find(pointee);
    const auto members = read_only_members_.find(pointee);
    const bool read_only = read_only_.count(variable.id) > 0 || (type != types_.end() && members != read_only_members_.end() && members->second >= type->second.operands.size());
    bool& writes = found_.bindings[binding->second];
    writes = writes || !read_only;
  }
  void workgroup() {
    std::array<std::uint32_t, 3> ids{};
    if (const auto composite = composites_.find(workgroup_size_); workgroup_size_ != 0 && composite != composites_.end() && composite->second.size() == 3)
      std::copy(composite->second.begin(), composite->second.end(), ids.begin());
    else if (const auto modes = size_ids_.find(entry_); modes != size_ids_.end()) ids = modes->second;
    else if (const auto fixed = sizes_.find(entry_); fixed != sizes_.end()) found_.workgroup = fixed->second;
    else fail("its entry point does not say how large a workgroup is");
    for (std::size_t axis = 0; axis < 3 && ids[0] != 0; ++axis) {
      const auto constant = constants_.find(ids[axis]);
      if (constant == constants_.end()) fail("the size of its workgroup is not a constant");
      found_.workgroup[axis] = constant->second;
      if (const auto special = specializations_.find(ids[axis]); special != specializations_.end()) found_.workgroup_constants[axis] = special->second;
    }
    for (const std::uint32_t extent : found_.workgroup) if (extent == 0) fail("its workgroup has an extent of 0");
  }

  std::span<const std::uint32_t> words_;
  std::string_view entry_point_;
  ModuleInterface found_;
  std::uint32_t entry_ = 0, workgroup_size_ = 0;
  bool has_code_ = false;
  std::map<std::uint32_t, Type> types_;
  std::map<std::uint32_t, std::uint32_t> constants_, bindings_, sets_, specializations_;
  std::map<std::uint32_t, std::size_t> read_only_members_;
  std::map<std::uint32_t, std::vector<std::uint32_t>> composites_;
  std::map<std::uint32_t, std::array<std::uint32_t, 3>> sizes_, size_ids_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> offsets_;
  std::set<std::uint32_t> read_only_;
  std::vector<Variable> variables_;
};
}  // namespace detail

inline ModuleInterface ModuleInterface::read(std::span<const std::uint32_t> words, std::string_view entry_point) { return detail::ModuleReader(words, entry_point).read(); }

}  // namespace cotenant::vulkan

#endif
