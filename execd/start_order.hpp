// SPDX-License-Identifier: MIT
// The `after` lists: made sound once, so that whoever starts services can trust them. Pure.
#pragma once

#include <vector>

#include "diagnostics.hpp"
#include "recipes.hpp"

namespace execd {

// Reports and removes each reference to a service that does not exist, and each that closes a circle; its
// service is marked faulty. Post: the references left name services of the list and form no circle.
void check_start_order(std::vector<ServiceEntry>& services, ErrorSink& errors);

}  // namespace execd
