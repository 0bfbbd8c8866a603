// ModuleText: the instructions of a SPIR-V module, taken apart by the grammar, and what its ids stand for.
#ifndef COTENANT_VULKAN_MODULE_TEXT_HPP
#define COTENANT_VULKAN_MODULE_TEXT_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/core/error.hpp"
#include "cotenant/vulkan/module_grammar.hpp"
#include "cotenant/vulkan/spirv.hpp"

namespace cotenant::vulkan::detail {

// What ModuleInterface and the checks of a module are made of: see ModuleTypes and ModuleCheck.
class ModuleText {
 protected:
  using Op = spirv::Op;
  // Errors: InvalidArgument, where the header is none, an instruction has other words than its grammar, or an id is not defined once.
  explicit ModuleText(std::span<const std::uint32_t> words) : words_(words) {
    check_header();
    for (std::size_t at = 5; at < words.size(); at += words[at] >> 16) read(at);
    for (const Instruction& one : instructions_) define(one);
  }
  ~ModuleText() = default;

  struct Use {
    char kind;
    std::uint32_t id;
  };
  struct Instruction {
    Op op = Op::Nop;
    std::uint32_t type = 0, result = 0;
    std::size_t at = 0;                  // its first word
    std::span<const std::uint32_t> operands;  // after type and result
    std::vector<Use> uses;
    std::size_t function = 0;  // that it lies in, from 1 on; 0: outside
  };
  [[noreturn]] static void refuse(const std::string& what) { raise<InvalidArgument>("this is no SPIR-V module that can be run: " + what); }
  [[noreturn]] void fail(const std::string& what) const { refuse("at word " + std::to_string(at_) + ", " + what); }
  [[noreturn]] void fail_id(std::uint32_t id, const std::string& what) const { fail("%" + std::to_string(id) + " " + what); }
  static std::string number(Op op) { return std::to_string(static_cast<unsigned>(op)); }
  std::size_t count(Op op) const {
    return static_cast<std::size_t>(std::count_if(instructions_.begin(), instructions_.end(), [&](const Instruction& one) { return one.op == op; }));
  }

  void check_header() const {
    constexpr std::uint32_t swapped = 0x03022307;
    if (words_.size() < 5) refuse("it has " + std::to_string(words_.size()) + " words, fewer than the five of a header");
    if (words_[0] == swapped) refuse("its bytes are in the other order");
    if (words_[0] != spirv::magic_number) refuse("it does not begin with the magic number 0x07230203");
    if (words_[1] < spirv::version(1, 0) || words_[1] > spirv::version(1, 6)) refuse("its version is unknown");
    if (words_[3] == 0 || words_[3] > 0x3fffff) refuse("its bound of ids is " + std::to_string(words_[3]));
    if (words_[4] != 0) refuse("its schema is not 0");
  }
  void read(std::size_t at) {
    at_ = at;
    const std::size_t length = words_[at] >> 16;
    if (length == 0 || length > words_.size() - at) fail("an instruction has a length of " + std::to_string(length) + " words");
    const std::span<const std::uint32_t> all = words_.subspan(at, length);
    const Op op = static_cast<Op>(all[0] & 0xffff);
    const char* kinds = spirv::words_of(op);
    if (kinds == nullptr) fail("the instruction " + number(op) + " is none of a kernel on storage buffers");
    Instruction one;
    one.op = op, one.at = at;
    std::size_t next = 1, skipped = 1;
    const auto take = [&] {
      if (next == all.size()) fail("the instruction " + number(op) + " is too short");
      return all[next++];
    };
    const auto take_one = [&](char kind) {
      switch (kind) {
        case 't': one.type = take(), one.uses.push_back({'y', one.type}), skipped = next; break;
        case 'r': one.result = take(), skipped = next; break;
        case 'l': take(); break;
        case 'c': check_storage(take()); break;
        case 's': for (bool ended = false; !ended;) ended = has_zero_byte(take()); break;
        case 'm': if (next < all.size()) {
          const std::uint32_t mask = take();
          if (mask > 0x3f) fail("memory operands of unknown kind");
          if (mask & spirv::memory_access::Aligned)
            if (const std::uint32_t alignment = take(); alignment == 0 || (alignment & (alignment - 1)) != 0) fail("an alignment that is no power of two");
          for (const std::uint32_t with_scope : {spirv::memory_access::MakePointerAvailable, spirv::memory_access::MakePointerVisible})
            if (mask & with_scope) one.uses.push_back({'k', take()});
          break;
        } else break;
        case 'n': {
          const std::uint32_t mask = take();
          if (mask > 3) fail("tensor operands of unknown kind");
          if (mask & 1) one.uses.push_back({'v', take()});  // a view
          if (mask & 2) one.uses.push_back({'f', take()});  // what decodes
          break;
        }
        case 'w': while (next < all.size()) take(), one.uses.push_back({'b', take()}); break;
        case 'p': while (next < all.size()) one.uses.push_back({'p', take()}), one.uses.push_back({'b', take()}); break;
        default: one.uses.push_back({kind, take()}); break;
      }
    };
    for (; *kinds != 0; ++kinds) {
      if (*kinds == '*') for (++kinds; next < all.size();) take_one(*kinds);
      else if (*kinds == '?') { if (++kinds, next < all.size()) take_one(*kinds); }
      else take_one(*kinds);
    }
    if (next != all.size()) fail("the instruction " + number(op) + " is too long");
    if (skipped > 1 && one.result == 0) fail("the result has the id 0");
    one.operands = all.subspan(skipped);
    if (op == Op::Function) one.function = ++functions_, inside_ = true;
    else if (inside_) one.function = functions_;
    if (op == Op::FunctionEnd) inside_ = false;
    instructions_.push_back(std::move(one));
  }
  void define(const Instruction& one) {
    at_ = one.at;
    if (one.result == 0) return;
    if (one.result >= words_[3]) fail_id(one.result, "is not below the bound of ids");
    if (!defined_.emplace(one.result, &one).second) fail_id(one.result, "is defined twice");
  }
  static bool has_zero_byte(std::uint32_t word) { return (word & 0xff) == 0 || (word >> 8 & 0xff) == 0 || (word >> 16 & 0xff) == 0 || word >> 24 == 0; }
  // Section 3.7: those up to StorageBuffer are SPIR-V's own, without extensions.
  void check_storage(std::uint32_t number) const {
    using enum spirv::StorageClass;
    const auto storage = static_cast<spirv::StorageClass>(number);
    if ((storage > StorageBuffer && storage != PhysicalStorageBuffer) || storage == Output || storage == Generic)
      fail("a storage class that kernels do not have");
  }

  // "GLSL.std.450", as words.
  static bool is_glsl(const Instruction& set) {
    return set.operands.size() == 4 && set.operands[0] == 0x4c534c47 && set.operands[1] == 0x6474732e && set.operands[2] == 0x3035342e;
  }

  const Instruction* definition(std::uint32_t id) const {
    const auto found = defined_.find(id);
    return found == defined_.end() ? nullptr : found->second;
  }
  // f float, i integer, b bool, p pointer, o any other; vectors have several of them, cooperative matrices as many as their type says.
  struct Kind {
    char of = 'o';
    std::uint32_t width = 0, count = 1, matrix = 0;
    bool operator==(const Kind&) const = default;
  };
  Kind kind_of(std::uint32_t type) const {
    const Instruction* const t = definition(type);
    if (t == nullptr) return {};
    switch (t->op) {
      case Op::TypeBool: return {'b', 1, 1};
      case Op::TypeInt: return {'i', t->operands[0], 1};
      case Op::TypeFloat: return {'f', t->operands[0], 1};
      case Op::TypePointer: return {'p', 64, 1};
      case Op::TypeVector: {
        Kind kind = kind_of(t->operands[0]);
        kind.count = t->operands[1];
        return kind;
      }
      case Op::TypeCooperativeMatrixKHR: {
        Kind kind = kind_of(t->operands[0]);
        kind.count = 0, kind.matrix = type;
        return kind;
      }
      default: return {};
    }
  }
  std::uint32_t type_of(std::uint32_t value) const { return definition(value)->type; }
  Kind kind(std::uint32_t value) const { return kind_of(type_of(value)); }
  void expect(bool holds, const char* what) const { if (!holds) fail(what); }

  std::span<const std::uint32_t> words_;
  std::vector<Instruction> instructions_;
  std::map<std::uint32_t, const Instruction*> defined_;
  std::size_t at_ = 5;  // what is looked at, for messages
  std::size_t functions_ = 0;
  bool inside_ = false;
};

}  // namespace cotenant::vulkan::detail

#endif
