// ModuleCheck: refuses SPIR-V of somebody else that breaks the specification's rules, on which drivers rely without looking.
#ifndef COTENANT_VULKAN_MODULE_CHECK_HPP
#define COTENANT_VULKAN_MODULE_CHECK_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cotenant/core/error.hpp"
#include "cotenant/vulkan/module_grammar.hpp"

namespace cotenant::vulkan::detail {

// Of a module whose instructions fill its words exactly: each one's words; ids, defined once and before they are used, of the right
// kind; the order of sections; functions, blocks and where branches go; how buffers are laid out; the types of what is computed. Not
// checked: that what a block uses was computed on every way to it, and that control flow is structured. Without these rules one module in
// 35 whose words had been changed at random crashed the driver (Mesa 22.3), which trusts whoever wrote them.
class ModuleCheck {
 public:
  // Errors: InvalidArgument, which says where and what.
  explicit ModuleCheck(std::span<const std::uint32_t> words) : words_(words) {
    for (std::size_t at = 5; at < words.size(); at += words[at] >> 16) read(at);
    for (Instruction& one : instructions_) check_order(one);
    at_ = words.size();
    if (state_ != State::outside) fail("the last function does not end");
    if (count(14) != 1 || count(15) == 0) fail("there is not one memory model, or no entry point");
    for (const Instruction& one : instructions_) check_use(one);
    for (const Instruction& one : instructions_) check_decoration(one);
    for (const Instruction& one : instructions_) check_types(one);
  }

 private:
  struct Use {
    char kind;
    std::uint32_t id;
  };
  struct Instruction {
    std::uint32_t op = 0, type = 0, result = 0;
    std::size_t at = 0;                  // its first word
    std::span<const std::uint32_t> operands;  // after type and result
    std::vector<Use> uses;
    std::size_t function = 0, order = 0;  // the function that it lies in, from 1 on; 0: outside
  };
  enum class State { outside, parameters, between, block };

  [[noreturn]] void fail(const std::string& what) const { raise<InvalidArgument>("this is no SPIR-V module that can be run: at word " + std::to_string(at_) + ", " + what); }
  [[noreturn]] void fail_id(std::uint32_t id, const std::string& what) const { fail("%" + std::to_string(id) + " " + what); }
  std::size_t count(std::uint32_t op) const {
    return static_cast<std::size_t>(std::count_if(instructions_.begin(), instructions_.end(), [&](const Instruction& one) { return one.op == op; }));
  }

  // ---- words ----
  void read(std::size_t at) {
    at_ = at;
    const std::span<const std::uint32_t> all = words_.subspan(at, words_[at] >> 16);
    const std::uint32_t op = all[0] & 0xffff;
    const char* kinds = words_of_instruction(op);
    if (kinds == nullptr) fail("the instruction " + std::to_string(op) + " is none of a kernel on storage buffers");
    Instruction one;
    one.op = op, one.at = at;
    std::size_t next = 1, skipped = 1;
    const auto take = [&] {
      if (next == all.size()) fail("the instruction " + std::to_string(op) + " is too short");
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
          if (mask & 2) take();
          for (const std::uint32_t with_scope : {8u, 16u}) if (mask & with_scope) one.uses.push_back({'k', take()});
          break;
        } else break;
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
    if (next != all.size()) fail("the instruction " + std::to_string(op) + " is too long");
    one.operands = all.subspan(skipped);
    instructions_.push_back(std::move(one));
  }
  static bool has_zero_byte(std::uint32_t word) { return (word & 0xff) == 0 || (word >> 8 & 0xff) == 0 || (word >> 16 & 0xff) == 0 || word >> 24 == 0; }
  // Section 3.7; 5349 is PhysicalStorageBuffer.
  void check_storage(std::uint32_t storage) const { if ((storage > 12 && storage != 5349) || storage == 3 || storage == 8) fail("a storage class that kernels do not have"); }

  // ---- sections, functions and blocks ----
  static int section(std::uint32_t op) {
    switch (op) {
      case 17: return 0;
      case 10: return 1;
      case 11: return 2;
      case 14: return 3;
      case 15: return 4;
      case 16: case 331: return 5;
      case 2: case 3: case 4: case 7: return 6;
      case 5: case 6: return 7;
      case 330: return 8;
      case 71: case 72: case 73: case 74: case 75: case 332: case 5632: case 5633: return 9;
      case 59: return 10;
      default: return is_type(op) || is_constant(op) ? 10 : 11;
    }
  }
  static bool is_type(std::uint32_t op) { return (op >= 19 && op <= 33) || op == 4456; }
  static bool is_constant(std::uint32_t op) { return (op >= 41 && op <= 52) || op == 1; }
  static bool ends_block(std::uint32_t op) { return (op >= 249 && op <= 255) || op == 4416; }

  void check_order(Instruction& one) {
    at_ = one.at;
    one.order = ++order_;
    const bool anywhere = one.op == 0 || one.op == 8 || one.op == 317 || (one.op == 1 && state_ == State::block) || (one.op == 12 && state_ == State::outside && section_ == 10);
    const int here = one.op == 39 ? 10 : section(one.op);
    if (!anywhere && state_ == State::outside) {
      if (here < section_) fail("the instruction " + std::to_string(one.op) + " comes after its section of the module");
      section_ = here;
      if (here == 11 && one.op != 54) fail("the instruction " + std::to_string(one.op) + " lies outside of every function");
    } else if (!anywhere && here < 11 && one.op != 59) {
      fail("the instruction " + std::to_string(one.op) + " lies in a function");
    }
    if (merged_ && !(one.op >= 249 && one.op <= 251)) fail("no branch follows where ways are said to meet again");
    merged_ = one.op == 246 || one.op == 247;
    switch (one.op) {
      case 54:
        if (state_ != State::outside) fail("a function begins in another");
        state_ = State::parameters, ++function_, blocks_ = 0;
        break;
      case 55: if (state_ != State::parameters) fail("a parameter does not stand at the begin of a function"); break;
      case 248:
        if (state_ != State::parameters && state_ != State::between) fail("a block begins where another has not ended");
        state_ = State::block, ++blocks_, first_ = true;
        break;
      case 56:
        if (state_ != State::between || blocks_ == 0) fail("a function ends where a block has not, or has no block");
        state_ = State::between;
        break;
      default: if (state_ != State::outside && state_ != State::block && !anywhere) fail("the instruction " + std::to_string(one.op) + " lies outside of every block");
    }
    one.function = state_ == State::outside ? 0 : function_;
    if (one.op == 59 && (one.function != 0) != (one.operands[0] == 7)) fail("a variable of this storage class does not lie here");
    if (one.op == 59 && one.function != 0 && blocks_ != 1) fail("a variable lies behind the first block of its function");
    if (one.op == 245 && !first_) fail("a phi does not stand at the begin of its block");
    if (one.op != 248 && one.op != 245 && one.op != 8 && one.op != 317) first_ = false;
    if (ends_block(one.op)) state_ = State::between;
    if (one.op == 56) state_ = State::outside;
    if (one.result == 0) {
      if (one.type != 0 || words_of_instruction(one.op)[0] == 'r') fail("the result has the id 0");
      return;
    }
    if (one.result >= words_[3]) fail_id(one.result, "is not below the bound of ids");
    if (!defined_.emplace(one.result, &one).second) fail_id(one.result, "is defined twice");
  }

  // ---- ids ----
  const Instruction* definition(std::uint32_t id) const {
    const auto found = defined_.find(id);
    return found == defined_.end() ? nullptr : found->second;
  }
  void check_use(const Instruction& one) {
    at_ = one.at;
    for (const Use& use : one.uses) {
      const Instruction* const there = definition(use.id);
      if (there == nullptr) fail_id(use.id, "is defined nowhere");
      const bool value = there->type != 0 && there->op != 54, earlier = there->order < one.order;
      if ((use.kind == 'y' && !is_type(there->op)) || (use.kind == 'b' && there->op != 248) || (use.kind == 'f' && there->op != 54) || (use.kind == 'e' && there->op != 11) ||
          (use.kind == 'k' && !is_constant(there->op)) || ((use.kind == 'v' || use.kind == 'p') && !value))
        fail_id(use.id, "is not what the instruction " + std::to_string(one.op) + " needs there");
      // A pointer may be named before it is declared; what a phi takes comes from blocks that may lie behind.
      const bool forward = use.kind == 'b' || use.kind == 'f' || use.kind == 'i' || use.kind == 'p' || one.op == 39 || there->op == 32 || section(one.op) < 10;
      if (!forward && !earlier) fail_id(use.id, "is used before it is defined");
      if (there->function != 0 && one.function != 0 && there->op != 54 && there->function != one.function) fail_id(use.id, "belongs to another function");
    }
    if (one.op == 15) {
      const Instruction* const kernel = definition(one.operands[1]);
      const Instruction* const signature = definition(kernel->operands[1]);
      if (signature == nullptr || signature->op != 33 || signature->operands.size() != 1) fail("the entry point takes arguments");
    }
    if ((one.op == 16 || one.op == 331) && std::none_of(instructions_.begin(), instructions_.end(), [&](const Instruction& other) { return other.op == 15 && other.operands[1] == one.operands[0]; }))
      fail("an execution mode of what is no entry point");
  }

  // ---- what types and variables are decorated with ----
  // Literals of a decoration (section 3.20), -1 for any; -2 where kernels have no such decoration.
  static int decoration_literals(std::uint32_t decoration) {
    switch (decoration) {
      case 0: case 2: case 3: case 4: case 5: case 18: case 19: case 20: case 21: case 23: case 24: case 25: case 26: case 42: case 4469: case 4470: case 5355: case 5356: return 0;
      case 1: case 6: case 7: case 11: case 33: case 34: case 35: case 39: case 44: return 1;
      case 5634: case 5635: case 5636: return -1;
      default: return -2;
    }
  }
  static constexpr std::uint32_t block = 2, buffer_block = 3, array_stride = 6, built_in = 11, set_decoration = 34, offset_decoration = 35, whole = 0xffffffff;
  void check_decoration(const Instruction& one) {
    at_ = one.at;
    const auto& x = one.operands;
    const bool of_member = one.op == 72 || one.op == 5633;
    if (one.op == 6 || of_member) {
      const Instruction* const type = definition(x[0]);
      if (type->op != 30 || x[1] >= type->operands.size()) fail("a member is named that its struct does not have");
    }
    if (one.op == 71 || one.op == 5632 || of_member) {
      const std::size_t first = of_member ? 2 : 1;
      const int literals = decoration_literals(x[first]);
      if (literals == -2 || (literals >= 0 && x.size() - first - 1 != static_cast<std::size_t>(literals))) fail("the decoration " + std::to_string(x[first]) + " is none of a kernel, or has too many or too few operands");
      decorated_.insert({x[0], of_member ? x[1] : whole, x[first]});
      if (x[first] == built_in) check_built_in(of_member ? nullptr : definition(x[0]), x[first + 1]);
    }
    if (one.op == 14 && ((x[0] != 0 && x[0] != 5348) || (x[1] != 1 && x[1] != 3))) fail("an addressing or memory model that kernels do not have");
    if (one.op == 11 && !is_glsl(one) && !(x.size() > 1 && x[0] == 0x536e6f4e)) fail("a set of instructions other than GLSL.std.450");  // "NonS(emantic.…)" may be there
    if (one.op == 247 && x[1] > 3) fail("a selection control that is none");
    if (one.op == 59 && x[0] == 1 && !has(one.result, built_in)) fail_id(one.result, "is an input that is not built in");
    if (one.op == 59 && (x[0] == 12 || x[0] == 2 || x[0] == 9)) {
      const std::uint32_t type = definition(one.type)->operands[1];
      if (!has(type, block) && !has(type, buffer_block)) fail_id(one.result, "is a buffer, but its type is not decorated as a block");
      if (x[0] != 9 && !has(one.result, set_decoration)) fail_id(one.result, "is a buffer without a descriptor set");
      check_layout(type);
    }
  }
  // What a kernel is told (section 3.21): the size of its workgroup as a constant, the rest as variables.
  void check_built_in(const Instruction* there, std::uint32_t number) const {
    const bool constant = number == 25, vector = number == 24 || (number >= 26 && number <= 28), mask = number >= 4416 && number <= 4420;
    const bool scalar = number == 29 || number == 36 || number == 38 || number == 40 || number == 41;
    const std::uint32_t of = there == nullptr ? 0 : there->op;
    if (!(constant ? of == 44 || of == 51 : of == 59) || !(constant || vector || mask || scalar)) fail("something is decorated as what a kernel is not told");
    const Kind kind = kind_of(constant ? there->type : definition(there->type)->operands[1]);
    if (!(kind == Kind{'i', 32, scalar ? 1u : mask ? 4u : 3u})) fail("what a kernel is told has another type");
  }
  bool has(std::uint32_t id, std::uint32_t decoration, std::uint32_t of_member = whole) const { return decorated_.count({id, of_member, decoration}) > 0; }
  // Everything in a block says where it lies.
  void check_layout(std::uint32_t type) const {
    const Instruction* const t = definition(type);
    if (t->op == 30)
      for (std::uint32_t i = 0; i < t->operands.size(); ++i) {
        if (!has(type, offset_decoration, i)) fail_id(type, "is a struct in a buffer, of which a member has no offset");
        check_layout(t->operands[i]);
      }
    if (t->op == 28 || t->op == 29) {
      if (!has(type, array_stride)) fail_id(type, "is an array in a buffer without a stride");
      check_layout(t->operands[0]);
    }
  }
  // "GLSL.std.450", as words.
  static bool is_glsl(const Instruction& set) { return set.operands.size() == 4 && set.operands[0] == 0x4c534c47 && set.operands[1] == 0x6474732e && set.operands[2] == 0x3035342e; }

  // ---- types ----
  // f float, i integer, b bool, p pointer, o any other; vectors have several of them.
  struct Kind {
    char of = 'o';
    std::uint32_t width = 0, count = 1;
    bool operator==(const Kind&) const = default;
  };
  Kind kind_of(std::uint32_t type) const {
    const Instruction* const t = definition(type);
    if (t == nullptr) return {};
    switch (t->op) {
      case 20: return {'b', 1, 1};
      case 21: return {'i', t->operands[0], 1};
      case 22: return {'f', t->operands[0], 1};
      case 32: return {'p', 64, 1};
      case 23: {
        Kind kind = kind_of(t->operands[0]);
        kind.count = t->operands[1];
        return kind;
      }
      case 4456: {
        Kind kind = kind_of(t->operands[0]);
        kind.count = 0;  // of a matrix: as many as its use says
        return kind;
      }
      default: return {};
    }
  }
  std::uint32_t type_of(std::uint32_t value) const { return definition(value)->type; }
  Kind kind(std::uint32_t value) const { return kind_of(type_of(value)); }
  void expect(bool holds, const char* what) const { if (!holds) fail(what); }
  std::uint32_t pointee(std::uint32_t pointer) const {
    const Instruction* const t = definition(type_of(pointer));
    if (t == nullptr || t->op != 32) fail_id(pointer, "is no pointer");
    return t->operands[1];
  }
  // The type of member `index` of a composite; `id` of the index where it is one.
  std::uint32_t member(std::uint32_t type, std::uint32_t index, std::uint32_t id) const {
    const Instruction* const t = definition(type);
    switch (t == nullptr ? 0 : t->op) {
      case 23: case 24: if (id == 0 && index >= t->operands[1]) break; return t->operands[0];
      case 28: case 29: case 4456: return t->operands[0];
      case 30:
        if (id != 0) {
          const Instruction* const constant = definition(id);
          if (constant->op != 43) fail("a member of a struct is chosen by what is no constant");
          index = constant->operands[0];
        }
        if (index < t->operands.size()) return t->operands[index];
        break;
      default: break;
    }
    fail("a part is taken of what has no such part");
  }
  void check_types(const Instruction& one) {
    at_ = one.at;
    const auto& x = one.operands;
    const std::uint32_t op = one.op;
    const Kind result = kind_of(one.type);
    const auto all = [&](char of, std::size_t from, std::size_t to) {
      for (std::size_t i = from; i < to; ++i) if (kind(x[i]).of != of || kind(x[i]).count != result.count) return false;
      return true;
    };
    const auto like = [&](std::size_t from, std::size_t to) {
      for (std::size_t i = from; i < to; ++i) if (!(kind(x[i]) == result)) return false;
      return true;
    };
    const auto within = [op](std::uint32_t first, std::uint32_t last) { return op >= first && op <= last; };
    constexpr const char* types = "operands or a result of types that the instruction does not take";
    if (op == 21) expect(x[0] == 8 || x[0] == 16 || x[0] == 32 || x[0] == 64, "an integer of unknown width");
    else if (op == 22) expect(x[0] == 16 || x[0] == 32 || x[0] == 64, "a float of unknown width");
    else if (op == 23) expect(x[1] >= 2 && x[1] <= 4 && kind_of(x[0]).of != 'o' && kind_of(x[0]).of != 'p' && kind_of(x[0]).count == 1, "a vector that is none");
    else if (op == 24) expect(x[1] >= 2 && x[1] <= 4 && kind_of(x[0]).of == 'f' && kind_of(x[0]).count > 1, "a matrix that is none");
    else if (op == 28) expect(kind(x[1]).of == 'i' && kind(x[1]).count == 1, "an array whose length is no integer");
    else if (op == 30) for (const std::uint32_t part : x) expect(definition(part)->op != 19 && definition(part)->op != 33, "a struct of what has no values");
    else if (within(41, 42) || within(48, 49)) expect(result.of == 'b' && result.count == 1, types);
    else if (op == 43 || op == 50) expect((result.of == 'i' || result.of == 'f') && result.count == 1 && x.size() == (result.width + 31) / 32, "a constant of another size than its type");
    else if (op == 44 || op == 51 || op == 80) check_construct(one, result);
    else if (op == 54) check_function(one);
    else if (op == 55) expect(definition(one.type)->op != 19, types);
    else if (op == 57) check_call(one);
    else if (op == 59) {
      const Instruction* const t = definition(one.type);
      expect(t->op == 32 && t->operands[0] == x[0], "a variable whose pointer has another storage class");
      expect(definition(t->operands[1])->op != 19 && definition(t->operands[1])->op != 33, types);
    } else if (op == 61) expect(pointee(x[0]) == one.type, "a load of another type than its pointer's");
    else if (op == 62) expect(pointee(x[0]) == type_of(x[1]), "a store of another type than its pointer's");
    else if (op == 63) expect(pointee(x[0]) == pointee(x[1]), types);
    else if (within(65, 67) || op == 70) {
      std::uint32_t type = pointee(x[0]);
      for (std::size_t i = op >= 67 ? 2 : 1; i < x.size(); ++i) expect(kind(x[i]).of == 'i' && kind(x[i]).count == 1, types), type = member(type, 0, x[i]);
      const Instruction *const to = definition(one.type), *const from = definition(type_of(x[0]));
      expect(to->op == 32 && to->operands[1] == type && to->operands[0] == from->operands[0], "a pointer to a part, of another type than the part");
    } else if (op == 68) {
      const Instruction* const t = definition(pointee(x[0]));
      expect(t->op == 30 && x[1] < t->operands.size() && definition(t->operands[x[1]])->op == 29 && result.of == 'i', "the length of what is no array");
    } else if (op == 77) expect(kind(x[0]).count > 1 && kind(x[0]).of == result.of && result.count == 1 && kind(x[1]).of == 'i', types);
    else if (op == 78) expect(like(0, 1) && kind(x[1]).of == result.of && kind(x[1]).count == 1 && kind(x[2]).of == 'i', types);
    else if (op == 79) {
      expect(kind(x[0]).of == result.of && kind(x[1]).of == result.of && kind(x[0]).width == result.width && kind(x[1]).width == result.width && x.size() - 2 == result.count, types);
      for (std::size_t i = 2; i < x.size(); ++i) expect(x[i] == 0xffffffff || x[i] < kind(x[0]).count + kind(x[1]).count, "a part is taken of what has no such part");
    } else if (op == 81 || op == 82) {
      std::uint32_t type = type_of(op == 81 ? x[0] : x[1]);
      for (std::size_t i = op == 81 ? 1 : 2; i < x.size(); ++i) type = member(type, x[i], 0);
      expect(op == 81 ? type == one.type : type == type_of(x[0]) && one.type == type_of(x[1]), types);
    } else if (op == 83) expect(type_of(x[0]) == one.type, types);
    else if (op == 109 || op == 110) expect(result.of == 'i' && all('f', 0, 1), types);
    else if (op == 111 || op == 112) expect(result.of == 'f' && all('i', 0, 1), types);
    else if (op == 113 || op == 114) expect(result.of == 'i' && all('i', 0, 1), types);
    else if (op == 115 || op == 116) expect(result.of == 'f' && all('f', 0, 1), types);
    else if (op == 124) {
      const Kind from = kind(x[0]);
      expect(from.of != 'o' && from.of != 'b' && result.of != 'o' && result.of != 'b', types);
      expect(from.of == 'p' || result.of == 'p' || from.width * from.count == result.width * result.count, types);
    } else if (op == 126 || op == 200 || op == 204 || op == 128 || op == 130 || op == 132 || within(134, 135) || within(137, 139) || within(197, 199)) expect(result.of == 'i' && like(0, x.size()), types);
    else if (within(194, 196)) expect(result.of == 'i' && like(0, 1) && all('i', 1, 2), types);
    else if (op == 127 || op == 129 || op == 131 || op == 133 || op == 136 || within(140, 141)) expect((result.of == 'f' && like(0, x.size())) || type_of(x[0]) == one.type, types);
    else if (op == 142) expect(result.of == 'f' && like(0, 1) && kind(x[1]).of == 'f' && kind(x[1]).count == 1, types);
    else if (op == 148) expect(result.of == 'f' && result.count == 1 && kind(x[0]) == kind(x[1]) && kind(x[0]).of == 'f' && kind(x[0]).count > 1, types);
    else if (op == 154 || op == 155) expect(result == Kind({'b', 1, 1}) && kind(x[0]).of == 'b', types);
    else if (op == 156 || op == 157) expect(result.of == 'b' && all('f', 0, 1), types);
    else if (within(164, 168)) expect(result.of == 'b' && like(0, x.size()), types);
    else if (op == 169) expect(kind(x[0]).of == 'b' && type_of(x[1]) == one.type && type_of(x[2]) == one.type && (kind(x[0]).count == result.count || kind(x[0]).count == 1), types);
    else if (within(170, 179)) expect(result.of == 'b' && all('i', 0, 2) && kind(x[0]) == kind(x[1]), types);
    else if (within(180, 191)) expect(result.of == 'b' && all('f', 0, 2) && kind(x[0]) == kind(x[1]), types);
    else if (within(201, 203)) expect(result.of == 'i' && like(0, op == 201 ? 2 : 1) && kind(x[x.size() - 2]).of == 'i' && kind(x.back()).of == 'i', types);
    else if (op == 205) expect(result.of == 'i' && all('i', 0, 1), types);
    else if (op == 227 || within(229, 242)) {
      expect((result.of == 'i' || result.of == 'f') && result.count == 1 && pointee(x[0]) == one.type, types);
      if (op != 227 && op != 232 && op != 233) expect(kind(x.back()) == result, types);
    } else if (op == 228) expect(pointee(x[0]) == type_of(x[3]) && kind(x[3]).count == 1 && kind(x[3]).of != 'o', types);
    else if (op == 245) {
      for (std::size_t i = 0; i + 1 < x.size(); i += 2) expect(type_of(x[i]) == one.type, types);
      expect(x.size() >= 2, "a phi without a value");
    } else if (op == 250) expect(kind(x[0]) == Kind({'b', 1, 1}) && (x.size() == 3 || x.size() == 5), types);
    else if (op == 251) expect(kind(x[0]).of == 'i' && kind(x[0]).count == 1 && kind(x[0]).width <= 32, types);
    else if (op == 12) check_extended(one, result);
    else if (op == 333 || op == 334 || op == 335) expect(result == Kind({'b', 1, 1}) && (op == 333 || kind(x[1]) == result), types);
    else if (op == 337 || op == 338 || within(345, 348)) expect(result.of != 'o' && result.of != 'p' && kind(x[1]) == result, types);
    else if (op == 339) expect(result == Kind({'i', 32, 4}) && kind(x[1]) == Kind({'b', 1, 1}), types);
    else if (op == 340 || within(342, 344)) expect(kind(x.back()).of == 'i' && kind(x.back()).count == 4, types);
    else if (op == 341) expect(kind(x[1]).of == 'i' && kind(x[1]).count == 4, types);
    else if (within(349, 364)) expect(result.of == (op >= 362 ? 'b' : op == 350 || op == 352 || op == 355 || op == 358 ? 'f' : 'i') && kind(x[2]) == result, types);
  }
  void check_construct(const Instruction& one, const Kind& result) const {
    const Instruction* const t = definition(one.type);
    const auto& x = one.operands;
    constexpr const char* parts = "a composite of other parts than its type's";
    if (t->op == 23) {
      std::uint32_t total = 0;
      for (const std::uint32_t part : x) {
        expect(kind(part).of == result.of && kind(part).width == result.width, parts);
        total += kind(part).count;
      }
      expect(total == result.count, parts);
    } else if (t->op == 30 || t->op == 28 || t->op == 24) {
      for (std::size_t i = 0; i < x.size(); ++i) expect(t->op == 30 ? i < t->operands.size() && type_of(x[i]) == t->operands[i] : type_of(x[i]) == t->operands[0], parts);
      if (t->op == 24) expect(x.size() == t->operands[1], parts);
      if (t->op == 30) expect(x.size() == t->operands.size(), parts);
      if (t->op == 28) if (const Instruction* const length = definition(t->operands[1]); length->op == 43) expect(x.size() == length->operands[0], parts);
    } else {
      expect(t->op == 4456 && x.size() == 1 && kind(x[0]).of == result.of, parts);
    }
  }
  void check_function(const Instruction& one) const {
    const Instruction* const t = definition(one.operands[1]);
    expect(t->op == 33 && t->operands[0] == one.type, "a function that returns another type than it says");
    std::size_t next = 1;
    const bool returns = definition(one.type)->op != 19;
    for (auto i = static_cast<std::size_t>(&one - instructions_.data()) + 1; i < instructions_.size() && instructions_[i].op != 56; ++i) {
      const Instruction& inside = instructions_[i];
      if (inside.op == 55) expect(next < t->operands.size() && inside.type == t->operands[next++], "a parameter of another type than its function's");
      if (inside.op == 253) expect(!returns, "a function that returns nothing where it has a type");
      if (inside.op == 254) expect(returns && type_of(inside.operands[0]) == one.type, "a function that returns another type than it says");
    }
    expect(next == t->operands.size(), "a function with fewer parameters than its type");
  }
  void check_call(const Instruction& one) const {
    const Instruction* const callee = definition(one.operands[0]);
    const Instruction* const t = definition(callee->operands[1]);
    expect(callee->type == one.type && t->op == 33 && t->operands.size() == one.operands.size(), "a call that does not fit its function");
    for (std::size_t i = 1; i < one.operands.size(); ++i) {
      const Instruction* const argument = definition(one.operands[i]);
      expect(argument->type == t->operands[i], "a call that does not fit its function");
    }
  }
  void check_extended(const Instruction& one, const Kind& result) const {
    const auto& x = one.operands;
    if (!is_glsl(*definition(x[0]))) return;
    const std::uint32_t number = x[1];
    expect(number >= 1 && number < sizeof extended_operands && x.size() - 2 == static_cast<std::size_t>(extended_operands[number - 1] - '0') && x.size() > 2, "no such function in GLSL.std.450");
    for (std::size_t i = 2; i < x.size(); ++i) if (const Instruction* const value = definition(x[i]); value->type == 0 || value->op == 54) fail_id(x[i], "is no value");
    // Pointers, matrices and packed values have rules of their own; the others take what they give.
    const bool own = (number >= 33 && number <= 36) || (number >= 51 && number <= 68) || number == 72;
    if (own) return;
    const bool integer = number == 5 || number == 7 || number == 38 || number == 39 || number == 41 || number == 42 || number == 44 || number == 45 || (number >= 73 && number <= 75);
    expect(result.of == (integer ? 'i' : 'f'), "a function of GLSL.std.450 on types that it does not take");
    for (std::size_t i = 2; i < x.size(); ++i) expect(kind(x[i]) == result, "a function of GLSL.std.450 on types that it does not take");
  }

  std::span<const std::uint32_t> words_;
  std::vector<Instruction> instructions_;
  std::map<std::uint32_t, const Instruction*> defined_;
  std::set<std::array<std::uint32_t, 3>> decorated_;  // id, member, decoration
  std::size_t at_ = 5, function_ = 0, blocks_ = 0, order_ = 0;
  int section_ = 0;
  State state_ = State::outside;
  bool merged_ = false, first_ = false;
};

}  // namespace cotenant::vulkan::detail

#endif
